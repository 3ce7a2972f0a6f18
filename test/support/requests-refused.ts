/** How many calls a member has refused since its start as beyond its limits, or as wrong. */
export async function requestsRefused(endpoint: string): Promise<number> {
  const response = await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(30_000) });
  let refused = 0;
  for (const line of (await response.text()).split("\n")) {
    const [, count] = /^grpc_server_handled_total\{.*grpc_code="InvalidArgument".*\} (\d+)$/.exec(line) ?? [];
    if (count !== undefined) refused += Number(count);
  }
  return refused;
}
