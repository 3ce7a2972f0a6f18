import { channel } from "node:diagnostics_channel";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import { fillKeys, kvLoad } from "./kv.ts";
import type { LoadFigure } from "./load.ts";
import { eachInTurn, median, nanosecondsEach, type Sample } from "./measure.ts";
import type { Peer } from "./peer.ts";
import { ours, oursBatching, Peers } from "./peers.ts";
import { figure, printTable } from "./table.ts";

const inFlight = 64;
const events = ["start", "asyncEnd", "end", "asyncStart", "error"];
/** The very objects that the library looks at: Node has one of each name. */
const parts = events.map((event) => channel(`tracing:etcd-recipes:call:${event}`));
/**
 * How often a put looks whether it has a subscriber: once where it is sent alone, twice where it may travel with
 * others.
 */
const looks: Readonly<Record<string, number>> = { [ours]: 1, [oursBatching]: 2 };

export const channels: Bench = {
  title: "what the diagnostics channels cost a put, with no subscriber and with one",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    const names = Object.keys(looks);
    await using peers = new Peers(cluster.endpoints, names);
    const [filler] = peers.all;
    if (filler) await fillKeys(filler);
    const [looked = []] = eachInTurn([lookNs], rounds);
    const lookEach = median(looked);
    const taken = await inTurn<LoadFigure>(
      peers.all.flatMap((peer) => [
        { peer: peer.name, measure: () => kvLoad(peer, "put", inFlight) },
        { peer: subscribed(peer.name), measure: () => heard(peer) },
      ]),
      rounds,
    );
    for (const { peer, samples } of taken) report.add("channels", { operation: "put", inFlight, peer }, samples);
    const rows = names.map((name) => {
      const without = takenBy(taken, name);
      const share = ((looks[name] ?? 0) * lookEach) / 10 / without.middle("cpuUsEach");
      report.target("channels", `looking for subscribers, put of ${name}`, "% of its CPU", share, { atMost: 1 });
      const ratio = takenBy(taken, subscribed(name)).ratioTo(without, "cpuUsEach");
      return [name, figure(without.middle("cpuUsEach")), figure(share), `${figure(ratio)}×`];
    });
    console.log(`puts, ${inFlight} in flight; a look takes ${figure(lookEach)} ns; median of ${rounds} rounds\n`);
    printTable(["", "CPU, µs each", "of it looks, %", "CPU with a subscriber"], rows);
  },
};

/** One that does nothing. */
async function heard(peer: Peer): Promise<Sample<LoadFigure>> {
  const hear = () => {};
  for (const part of parts) part.subscribe(hear);
  try {
    return await kvLoad(peer, "put", inFlight);
  } finally {
    for (const part of parts) part.unsubscribe(hear);
  }
}

/** Nanoseconds of a look that finds none. */
function lookNs(): number {
  let found = 0;
  return nanosecondsEach(() => {
    for (const part of parts) if (part.hasSubscribers) found++;
    if (found > 0) throw new Error("there is a subscriber");
  }, 50);
}

function subscribed(name: string): string {
  return `${name}, heard`;
}
