// Holds a lease and works without a pause, so that SIGSTOP finds it in the middle of its work, and looks at the lease
// as soon as it goes on: before any timer or event could run. argv: an endpoint, a TTL in seconds
import { setImmediate as nextTurn } from "node:timers/promises";
import { EtcdClient } from "etcd-recipes/client";

const etcd = new EtcdClient({ endpoints: process.argv[2] });
const lease = await etcd.grantLease(Number(process.argv[3]));
// Before it says so: a stop right after that is seen, too.
let before = performance.now();
console.log("holding");

/** Works for a moment; true if it was stopped since the last time. */
function work() {
  const end = performance.now() + 50;
  for (;;) {
    const now = performance.now();
    const stopped = now - before > 1_000;
    before = now;
    if (stopped || now > end) return stopped;
  }
}
while (!work()) await nextTurn();

console.log(JSON.stringify({ aborted: lease.signal.aborted, remainingMs: lease.remainingMs() }));
try {
  lease.signal.throwIfAborted();
  console.log("believes");
} catch (error) {
  console.log(error.code);
}
await etcd.close();
