/**
 * Follows the nodes of a cluster while one joins, changes and leaves.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/monitor.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterMonitor } from "etcd-recipes";
import { printable } from "./printable.ts";

interface Info {
  readonly zone: string;
  readonly load: number;
}

const monitor = new ClusterMonitor<Info>("/nodes/", { ttlSeconds: 5 });
monitor.on("up", ({ name, info, upSince }) =>
  console.log(printable(`${name} is up in ${info.zone} since ${new Date(upSince)}`)),
);
monitor.on("changed", ({ name, info, draining }) =>
  console.log(printable(`${name}: load ${info.load}${draining ? ", draining" : ""}`)),
);
monitor.on("down", ({ name }) => console.log(printable(`${name} is down`)));
await monitor.ready;

const membership = monitor.join("worker-1", { zone: "a", load: 0 });
await membership.ready;
await sleep(500);
await membership.update({ zone: "a", load: 7 });
await membership.leave({ drainMs: 1_000 });
await sleep(500); // until the list here has heard of it
console.log(`${monitor.nodes().length} nodes`);
await monitor.close();
