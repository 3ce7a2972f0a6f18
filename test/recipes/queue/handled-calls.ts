/** How many unary calls on keys a member has answered so far, in its own words, by method. */
export async function handledCalls(endpoint: string): Promise<Record<string, number>> {
  const response = await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(30_000) });
  const calls: Record<string, number> = {};
  for (const line of (await response.text()).split("\n")) {
    const [, method, count] =
      /^grpc_server_handled_total\{.*grpc_method="(\w+)",grpc_service="etcdserverpb.KV".*\} (\d+)$/.exec(line) ?? [];
    if (method !== undefined) calls[method] = (calls[method] ?? 0) + Number(count);
  }
  return calls;
}
