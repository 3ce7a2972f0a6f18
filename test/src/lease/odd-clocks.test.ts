import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../../testing/index.ts";
import { canFakeWallClock, FakedWallClock } from "../../recipes/candidacy/faked-wall-clock.ts";
import type { Child } from "../../support/child.ts";
import { runProgramFile } from "../../support/run-program.ts";
import { until } from "../../support/until.ts";

// A wall clock that is set is no suspended machine, and a machine that slept for a part of the TTL has lost nothing.
// Seen by a process that holds one of everything that stands on a lease.

const TTL_SECONDS = 10;

interface Report {
  readonly what: string;
  /** What was reported or seen of each thing since the report before. */
  readonly received: Readonly<Record<string, readonly string[]>>;
  readonly terms: number;
  readonly firstLook?: readonly string[];
  readonly took?: { readonly lease: number; readonly detached: number };
  /** Every key that it has in etcd, and since when. */
  readonly keys: Readonly<Record<string, number>>;
}

let cluster: EtcdCluster;
let etcd: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient({ endpoints: cluster.endpoints });
});
afterAll(async () => {
  await etcd?.close();
  await cluster?.close();
});

/** A process that holds everything, and what it reports. */
class Holder {
  readonly program: Child;
  readonly #name = `/test/${randomUUID()}`;

  constructor(env: NodeJS.ProcessEnv, sleepsMs?: readonly number[]) {
    const endpoint = cluster.endpoints[0];
    const options = { endpoint, name: this.#name, ttlSeconds: TTL_SECONDS, sleepsMs };
    this.program = runProgramFile("holds-everything.mjs", [JSON.stringify(options)], env);
  }

  async report(number: number): Promise<Report> {
    const { lines, errors } = this.program;
    const line = await until(() => lines[number], {
      timeoutMs: 60_000,
      message: () => [...lines, ...errors].join("\n"),
    });
    const { kvs } = await etcd.range(prefix(`${this.#name}/`));
    // The worker's place among those who wait comes and goes.
    const held = kvs.filter(({ key }) => !key.includes("/waiting/"));
    const keys = Object.fromEntries(
      held.map(({ key, createRevision }) => [key.slice(this.#name.length), createRevision]),
    );
    return { ...JSON.parse(line), keys };
  }
}

const things = [
  "lead()",
  "term",
  "lock",
  "job",
  "own registration",
  "shared registration",
  "lease",
  "detached lease",
] as const;

describe.skipIf(!canFakeWallClock)("a wall clock that is set by +1.5 s, +2 s, +1 h and -1 h", () => {
  const steps = [1.5, 2, 3_600, -3_600];
  const reports: Report[] = [];

  beforeAll(async () => {
    await using clock = await FakedWallClock.create();
    const holder = new Holder(clock.env);
    await using _ = holder.program;
    reports.push(await holder.report(0));
    let aheadSeconds = 0;
    for (const step of steps) {
      aheadSeconds += step;
      await clock.set(aheadSeconds);
      reports.push(await holder.report(reports.length));
    }
    holder.program.kill("SIGTERM");
    reports.push(await holder.report(reports.length));
  }, 120_000);

  test("was seen by the process", () => {
    expect(reports.map(({ what }) => what)).toEqual([
      "holds",
      ...steps.map((seconds) => `stepped ${seconds * 1_000}`),
      "end",
    ]);
  });

  test.each(things)("takes nothing from: %s", (thing) => {
    for (const { what, received } of reports.slice(1, -1)) expect(received[thing], what).toBeUndefined();
  });

  test("leaves every key in etcd as it is, and the lock and the job are held to the end", () => {
    const [first, ...others] = reports.slice(0, -1);
    expect(Object.keys(first?.keys ?? {}).length).toBeGreaterThanOrEqual(6);
    for (const { what, keys } of others) expect(keys, what).toEqual(first?.keys);
    expect(reports.at(-1)?.received).toMatchObject({ lock: ["held to the end"], job: ["acknowledged"] });
  });
});

describe("a machine that slept", () => {
  const shortMs = 4_000;
  const longMs = 60_000;
  let before: Report;
  let short: Report;
  let long: Report;

  beforeAll(async () => {
    const holder = new Holder({}, [shortMs, longMs]);
    await using _ = holder.program;
    before = await holder.report(0);
    holder.program.kill("SIGUSR2");
    short = await holder.report(1);
    holder.program.kill("SIGUSR2");
    long = await holder.report(2);
  }, 120_000);

  test("for a part of the TTL has that much less left, is renewed, and reports nothing", () => {
    expect(short).toMatchObject({ what: `slept ${shortMs}`, received: {}, firstLook: [], terms: 1 });
    for (const took of Object.values(short.took ?? {})) {
      expect(took).toBeGreaterThanOrEqual(shortMs - 30);
      expect(took).toBeLessThan(shortMs + 500);
    }
    expect(short.keys).toEqual(before.keys);
  });

  test("for longer than the TTL knows at its first look, with the event, and no signal takes it back", () => {
    expect(long.firstLook).toEqual(["job", "lease", "lock", "term"]);
    for (const thing of ["lock", "lease"]) expect(long.received[thing]).toEqual(["abort event", "reads aborted"]);
    expect(long.received.job).toEqual(["abort event", "reads aborted", "handed out again, attempt 2"]);
    expect(long.received["detached lease"]).toBeUndefined();
  });

  test("campaigns again, and leads again", () => {
    expect(long.received["lead()"]).toEqual(["lost", "leads"]);
    expect(long.terms).toBe(2);
  });

  test.each(["own registration", "shared registration"])("is in the list again: %s", (thing) => {
    expect(long.received[thing]).toEqual(expect.arrayContaining(["lost", "recovering", "registered"]));
    expect(long.received[thing]?.at(-1)).toBe("registered");
  });
});
