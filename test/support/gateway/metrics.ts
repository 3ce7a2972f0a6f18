import { type ClientTls, httpRequest } from "./http-request.ts";
import { secretsFor } from "./secrets.ts";

/** What a member says of itself at `/metrics`. */
export class Metrics {
  readonly #samples: readonly Sample[];

  private constructor(text: string) {
    this.#samples = text.split("\n").flatMap(readSample);
  }

  /** @param tls @default that of the environment, for https */
  static async read(endpoint: string, tls: ClientTls | undefined = secretsFor(endpoint).tls): Promise<Metrics> {
    return new Metrics((await httpRequest(`${endpoint}/metrics`, { tls, timeoutMs: 30_000 })).text);
  }

  /** @throws Error when it is not among them */
  value(name: string): number {
    const sample = this.#samples.find((each) => each.name === name);
    if (!sample) throw new Error(`${name} is not among the metrics`);
    return sample.value;
  }

  /** The sum of the samples with each value of one label; of those alone that have the other labels, too. */
  sums(name: string, by: string, others: Readonly<Record<string, string>> = {}): Record<string, number> {
    const sums: Record<string, number> = {};
    for (const { name: own, labels, value } of this.#samples) {
      if (own !== name || Object.entries(others).some(([label, text]) => labels[label] !== text)) continue;
      const { [by]: key = "" } = labels;
      sums[key] = (sums[key] ?? 0) + value;
    }
    return sums;
  }
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** None for a comment. */
function readSample(line: string): Sample[] {
  const [, name, labels = "", value] = /^([a-z_:]\w*)(?:\{(.*)\})? (\S+)$/i.exec(line) ?? [];
  if (name === undefined) return [];
  const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, text]) => [label, text]);
  return [{ name, labels: Object.fromEntries(pairs), value: Number(value) }];
}

/** How many calls a member has begun to serve since its start, by gRPC method. */
export async function requestsServed(endpoint: string, tls?: ClientTls): Promise<Record<string, number>> {
  return (await Metrics.read(endpoint, tls)).sums("grpc_server_started_total", "grpc_method");
}

/** How many unary calls on keys a member has answered since its start, by gRPC method. */
export async function handledCalls(endpoint: string): Promise<Record<string, number>> {
  const metrics = await Metrics.read(endpoint);
  return metrics.sums("grpc_server_handled_total", "grpc_method", { grpc_service: "etcdserverpb.KV" });
}

/** How many calls a member has refused since its start as beyond its limits, or as wrong. */
export async function requestsRefused(endpoint: string): Promise<number> {
  return (await Metrics.read(endpoint)).sums("grpc_server_handled_total", "grpc_code").InvalidArgument ?? 0;
}

/** How many watches and watch streams a member holds. */
export async function watcherCounts(endpoint: string): Promise<{ watchers: number; streams: number }> {
  const metrics = await Metrics.read(endpoint);
  return {
    watchers: metrics.value("etcd_debugging_mvcc_watcher_total"),
    streams: metrics.value("etcd_debugging_mvcc_watch_stream_total"),
  };
}
