import { defaultClient } from "etcd-recipes";
import { type DemoEtcd, openEtcd } from "./etcd.ts";
import type { Journal } from "./journal.ts";
import { Masters } from "./masters.ts";
import { Scheduler } from "./scheduler.ts";

/** All that plays in the demo. */
export interface Stage {
  readonly journal: Journal;
  readonly etcd: DemoEtcd;
  readonly scheduler: Scheduler;
  readonly masters: Masters;
}

const leftoverLimitMs = 12_000;

/** Sets the stage for `play`, and clears it in order afterwards, whatever happens: masters first, etcd last. */
export async function onStage(
  journal: Journal,
  env: NodeJS.ProcessEnv,
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  await using etcd = await openEtcd(journal, env);
  await using scheduler = new Scheduler(journal);
  await using masters = new Masters(etcd.endpoints, journal);
  await untilNobodyElseIsThere(scheduler, journal);
  const running = scheduler.run().catch(() => {});
  const stage = { journal, etcd, scheduler, masters };
  try {
    await play(stage);
  } finally {
    await leave(stage);
    await running;
  }
}

/** On an etcd that is not ours there may be real services: they must not get the demo's requests. */
async function untilNobodyElseIsThere({ services }: Scheduler, journal: Journal): Promise<void> {
  await services.ready;
  const others = services.list().map(({ id }) => id);
  if (others.length === 0) return;
  journal.tell(
    "demo",
    `waits for ${others.length} others to leave ${services.prefix}; an earlier demo's do within 5 s`,
  );
  try {
    await services.until((list) => list.length === 0, { timeoutMs: leftoverLimitMs });
  } catch (cause) {
    throw new Error(
      `there are services under ${services.prefix} that are not the demo's: ${others.join(", ")}. It would send them ` +
        "its requests, so it stops here; run it without ETCD_ENDPOINTS, on a cluster of its own",
      { cause },
    );
  }
}

/** Ends the masters in order and looks, while etcd still runs, that nothing of them is left there. */
async function leave({ journal, scheduler, masters }: Stage): Promise<void> {
  journal.beginAct("The end: the masters get SIGTERM, deregister and exit");
  await scheduler.stop();
  const left = await masters.stop();
  const keys = left.map(({ id }) => `${scheduler.services.prefix}${id}`);
  const found = await Promise.all(keys.map((key) => defaultClient().get(key)));
  const remaining = found.flatMap((kv) => kv?.key ?? []);
  if (remaining.length > 0) throw new Error(`masters have left, their keys have not: ${remaining.join(", ")}`);
  journal.tell("etcd", `the keys of the ${keys.length} masters that left are gone`);
}
