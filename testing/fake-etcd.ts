import type { FakeEtcd } from "./fake-etcd/index.ts";

/** Options of {@link fakeEtcd}. All may be left out. */
export interface FakeEtcdOptions {
  /**
   * Which time its leases live by, and its clients and their recipes:
   *
   * - `"real"`: the time of the machine, as it was before a test runner replaced timers and `Date`
   * - `"manual"`: time goes on only by `advance()`
   * - `"globals"`: what the globals are at each moment: the fake timers of vitest and Jest
   *
   * @default "real"
   */
  readonly time?: "real" | "manual" | "globals";
  /**
   * What manual time begins with, in milliseconds since the epoch.
   *
   * @default 1700000000000
   */
  readonly startMs?: number;
  /**
   * What random delays and the ids of leases follow from: a whole number from 0.
   *
   * @default 1
   */
  readonly seed?: number;
  /**
   * How long a call takes, to etcd and back, in milliseconds, from 0. `etcd.latencyMs` changes it.
   *
   * @default 0
   */
  readonly latencyMs?: number;
  /**
   * How many operations a txn may have, from 1, as `--max-txn-ops` says.
   *
   * @default 128
   */
  readonly maxTxnOps?: number;
  /**
   * How long a request may be, in bytes, from 1, as `--max-request-bytes` says.
   *
   * @default 1572864
   */
  readonly maxRequestBytes?: number;
}

/** What an option may be, and in which words that is said. */
interface Check {
  readonly wanted: string;
  holds(value: unknown): boolean;
}

const atLeast = (least: number): Check => ({
  wanted: `a number of milliseconds, at least ${least}`,
  holds: (value) => Number.isFinite(value) && (value as number) >= least,
});
const wholeFrom = (least: number): Check => ({
  wanted: `a whole number of at least ${least}`,
  holds: (value) => Number.isSafeInteger(value) && (value as number) >= least,
});

const times: readonly unknown[] = ["real", "manual", "globals"];
const checks = new Map<string, Check>([
  ["time", { wanted: '"real", "manual" or "globals"', holds: (value) => times.includes(value) }],
  ["startMs", atLeast(0)],
  ["seed", wholeFrom(0)],
  ["latencyMs", atLeast(0)],
  ["maxTxnOps", wholeFrom(1)],
  ["maxRequestBytes", wholeFrom(1)],
]);

/**
 * Makes an etcd in the memory of this process, for tests that start no program: keys with their revisions, txns,
 * leases, watches and compactions, behind real clients of the class `EtcdClient`.
 *
 * ```ts
 * await using etcd = await fakeEtcd({ time: "manual" });
 * const server = new ServiceRegister("/svc/m1", "10.0.0.1:8080", 5, { client: etcd.client() });
 * await server.ready;
 * await etcd.advance(60_000);
 * ```
 *
 * Guaranteed: what it answers is what etcd answers, also what it refuses, as far as contract tests ask both. Two tests
 * that do the same with the same seed in manual time see the same. In real time an open watch or a kept lease keeps the
 * process from ending, as with a real etcd.
 *
 * Not there: several members, Raft, users, TLS, a disk. What needs one of these throws `RequestRefusedError`, and
 * `startEtcd()` has it.
 *
 * It resolves once the client is loaded, which those who only start a real etcd need not wait for.
 *
 * @throws TypeError for an option that is unknown or has a bad value
 */
export async function fakeEtcd(options: FakeEtcdOptions = {}): Promise<FakeEtcd> {
  check(options);
  const { time = "real", startMs, seed = 1, latencyMs = 0, maxTxnOps, maxRequestBytes } = options;
  const { FakeEtcd } = await import("./fake-etcd/index.ts");
  return new FakeEtcd({ time, startMs, seed, latencyMs, maxTxnOps, maxRequestBytes });
}

function check(options: FakeEtcdOptions): void {
  if (typeof options !== "object" || options === null) throw new TypeError("fakeEtcd: options must be an object");
  for (const [name, value] of Object.entries(options)) {
    const known = checks.get(name);
    if (!known) throw new TypeError(`fakeEtcd: there is no option "${name}", only ${[...checks.keys()].join(", ")}`);
    if (value !== undefined && !known.holds(value)) {
      const given = typeof value === "string" ? JSON.stringify(value) : String(value);
      throw new TypeError(`fakeEtcd: ${name} must be ${known.wanted}, not ${given}`);
    }
  }
  if (options.startMs !== undefined && options.time !== "manual") {
    throw new TypeError('fakeEtcd: startMs is where manual time begins: it goes with time: "manual" only');
  }
}
