/** How many calls a member has begun to serve since its start, by gRPC method. */
export async function requestsServed(endpoint: string): Promise<Record<string, number>> {
  const response = await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(30_000) });
  const served: Record<string, number> = {};
  for (const line of (await response.text()).split("\n")) {
    const [, method, count] = /^grpc_server_started_total\{.*grpc_method="(\w+)".*\} (\d+)$/.exec(line) ?? [];
    if (method !== undefined) served[method] = (served[method] ?? 0) + Number(count);
  }
  return served;
}
