import { CacheExpirer, EtcdClient } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import type { Sample } from "./measure.ts";
import { figure, printTable } from "./table.ts";

const ids = Array.from({ length: 10_000 }, (_, index) => `proj-${index}`);
const calls = 1_000_000;
const one = "one id, awaited";
const together = "one id, a thousand at a time";

export const touch: Bench = {
  title: "touch() of a CacheExpirer for ids that were touched lately, so that nothing is sent",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using client = new EtcdClient({ endpoints: cluster.endpoints });
    await using caches = new CacheExpirer("/bench/caches/", { client, ttlSeconds: 7 * 24 * 3_600, onExpire: () => {} });
    await caches.ready;
    await Promise.all(ids.map((id) => caches.track(id)));
    const taken = await inTurn(
      [
        { peer: one, measure: () => awaited(caches, ["proj-0"]) },
        { peer: together, measure: () => atOnce(caches, "proj-0") },
        { peer: "10 000 ids, awaited", measure: () => awaited(caches, ids) },
      ],
      rounds,
    );
    for (const { peer, samples } of taken) report.add("touch", { how: peer }, samples);
    const perSecond = takenBy(taken, one).middle("touchesPerSecond");
    report.target("touch", "touch() on a hot key, awaited", "/s", perSecond, { atLeast: 3e6 });
    console.log(`median of ${rounds} rounds\n`);
    printTable(
      ["", "touch() per second"],
      taken.map((of) => [of.peer, figure(of.middle("touchesPerSecond"))]),
    );
  },
};

async function awaited(caches: CacheExpirer, hot: readonly string[]): Promise<Sample<"touchesPerSecond">> {
  const startMs = performance.now();
  let next = 0;
  let gone = 0;
  for (let call = 0; call < calls; call++) {
    if (!(await caches.touch(hot[next] as string))) gone++;
    if (++next === hot.length) next = 0;
  }
  return perSecond(startMs, gone);
}

async function atOnce(caches: CacheExpirer, id: string): Promise<Sample<"touchesPerSecond">> {
  const startMs = performance.now();
  let gone = 0;
  for (let call = 0; call < calls; call += 1_000) {
    const touched: Promise<boolean>[] = [];
    for (let index = 0; index < 1_000; index++) touched.push(caches.touch(id));
    for (const was of await Promise.all(touched)) if (!was) gone++;
  }
  return perSecond(startMs, gone);
}

function perSecond(startMs: number, gone: number): Sample<"touchesPerSecond"> {
  if (gone > 0) throw new Error(`${gone} touches found nothing`);
  return { touchesPerSecond: (calls / (performance.now() - startMs)) * 1e3 };
}
