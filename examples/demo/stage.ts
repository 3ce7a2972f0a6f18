import { setTimeout as sleep } from "node:timers/promises";
import { Cancellation, Confirmation, defaultClient, prefix, Storage, SubscribeService } from "etcd-recipes";
import { keys } from "../engine/shared/keys.ts";
import { printable } from "../printable.ts";
import { CacheView } from "./caches.ts";
import { type DemoEtcd, openEtcd } from "./etcd.ts";
import { Fleet } from "./fleet.ts";
import type { Journal } from "./journal.ts";
import { Ledger, type Outcome } from "./ledger.ts";
import { openRedis } from "./redis.ts";
import { Workload } from "./workload.ts";

/** All that plays in the demo. */
export interface Stage {
  readonly journal: Journal;
  readonly etcd: DemoEtcd;
  /** Where tasks come from. */
  readonly tasks: "etcd" | "redis";
  readonly services: SubscribeService;
  readonly caches: CacheView;
  readonly ledger: Ledger;
  readonly fleet: Fleet;
  readonly workload: Workload;
  readonly cancellation: Cancellation;
  readonly confirmation: Confirmation;
}

export interface StageOptions {
  readonly redis: boolean;
  readonly env: NodeJS.ProcessEnv;
}

const leftoverLimitMs = 12_000;
const lookEveryMs = 1_000;

/**
 * Sets the stage for `play`, and clears it in order afterwards, whatever happens: schedulers first, then masters, etcd
 * last.
 *
 * @returns what came of the tasks, counted when all programs have left
 */
export async function onStage(
  journal: Journal,
  { redis, env }: StageOptions,
  play: (stage: Stage) => Promise<void>,
): Promise<{ outcome: Outcome; failure: unknown }> {
  await using ownRedis = redis ? await openRedis(journal, env) : undefined;
  await using etcd = await openEtcd(journal, env);
  await untilNobodyElseIsThere(journal);
  await using services = new SubscribeService(keys.masters);
  await using storage = new Storage();
  await using ledger = new Ledger(storage);
  const caches = new CacheView(storage);
  await Promise.all([ledger.ready, caches.ready]);
  await using cancellation = new Cancellation(keys.cancellations);
  await using confirmation = new Confirmation(keys.confirmations);
  for (const recipe of [services, storage, cancellation, confirmation]) {
    recipe.on("warning", (error) => journal.log("demo", `warning: ${error.message}`));
  }
  await using workload = new Workload(ownRedis?.url, ledger, journal);
  const programs = { ETCD_ENDPOINTS: etcd.endpoints.join(), REDIS_URL: ownRedis?.url ?? "" };
  await using fleet = await Fleet.open(programs, journal);
  const failure = await play({
    journal,
    etcd,
    tasks: redis ? "redis" : "etcd",
    services,
    caches,
    ledger,
    fleet,
    workload,
    cancellation,
    confirmation,
  }).then(
    () => undefined,
    (error: unknown) => error ?? new Error("the demo failed"),
  );
  journal.beginAct("The end: schedulers and masters get SIGTERM, finish what they have, deregister and exit");
  await workload.stop();
  await fleet.stop();
  await checkThatAllLeft(fleet, journal);
  return { outcome: await ledger.close(await fleet.effects()), failure };
}

/** On an etcd that is not ours there may be a real engine: it must not get the demo's tasks, nor give it its own. */
async function untilNobodyElseIsThere(journal: Journal): Promise<void> {
  const deadline = performance.now() + leftoverLimitMs;
  for (let others = await findOthers(); others.length > 0; others = await findOthers()) {
    if (performance.now() > deadline) {
      throw new Error(
        `somebody else's engine is there: ${others.join(", ")}. The demo would give it its tasks, so it stops here; run ` +
          "it without ETCD_ENDPOINTS, on a cluster of its own",
      );
    }
    journal.log("demo", `waits for ${others.length} others to leave; those of an earlier demo do within 3 s`);
    await sleep(lookEveryMs);
  }
}

async function findOthers(): Promise<string[]> {
  const ranges = [keys.masters, `${keys.leader}/`].map((place) => defaultClient().range(prefix(place)));
  return (await Promise.all(ranges)).flatMap(({ kvs }) => kvs.map(({ key }) => printable(key)));
}

/**
 * Not waited for, while etcd still runs: with their leases the keys would go anyway. Those of killed ones may be there
 * yet.
 */
async function checkThatAllLeft(fleet: Fleet, journal: Journal): Promise<void> {
  const left = fleet.masters.filter(({ state }) => state === "left").map(({ id }) => keys.masters + id);
  const found = await Promise.all(left.map((key) => defaultClient().get(key)));
  const remaining = found.flatMap((kv) => kv?.key ?? []);
  if (remaining.length > 0) throw new Error(`masters have left, their keys have not: ${remaining.join(", ")}`);
  journal.log("etcd", `the keys of the ${left.length} masters that left are gone`);
}
