/** How many watches and watch streams a member holds, in its own words. */
export async function watcherCounts(endpoint: string): Promise<{ watchers: number; streams: number }> {
  const response = await fetch(`${endpoint}/metrics`, { signal: AbortSignal.timeout(30_000) });
  const text = await response.text();
  return {
    watchers: readMetric(text, "etcd_debugging_mvcc_watcher_total"),
    streams: readMetric(text, "etcd_debugging_mvcc_watch_stream_total"),
  };
}

function readMetric(text: string, name: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `));
  if (line === undefined) throw new Error(`${name} is not among the metrics`);
  return Number(line.slice(name.length + 1));
}
