/**
 * Two schedulers in one election: the first leads and does its work, then the other one does. Run
 * `etcdctl elect /leader me` beside it to take part.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/elect.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { LeaderElection, putOp } from "etcd-recipes";
import { printable } from "./printable.ts";

async function schedule(candidate: string): Promise<void> {
  await using election = new LeaderElection("/leader", candidate, { ttlSeconds: 60, renewEverySeconds: 30 });
  election.on("lost", (error) => console.log(`${candidate} lost the leadership: ${error.message}`));
  await election.lead(async (term) => {
    console.log(`${candidate} leads`);
    for (let task = 1; task <= 3 && !term.signal.aborted; task++) {
      // Written only while the term lasts, whatever happens to this process.
      await term.txn([putOp("/scheduled", `task ${task} by ${candidate}`)]);
      await sleep(100); // a real scheduler waits for its next task here
    }
  });
  console.log(`${candidate} has resigned`);
}

await using election = new LeaderElection("/leader", "watcher");
election.on("leader", (leader) => console.log(printable(`/leader is ${leader?.candidate ?? "no candidate"}`)));

await Promise.all([schedule("scheduler-1"), schedule("scheduler-2")]);
