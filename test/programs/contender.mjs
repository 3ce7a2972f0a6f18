// Contends for locks and elections until SIGTERM, and says all that it did, one JSON a line. Times are nanoseconds of
// the machine's monotonic clock, the same in all processes. argv: { id, endpoints, locks, elections, ttlSeconds,
// suspends, seed }
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdClient, LeaderElection, Mutex, putOp } from "etcd-recipes";

const { id, endpoints, locks, elections, ttlSeconds, suspends, seed } = JSON.parse(process.argv[2]);
const now = () => Number(process.hrtime.bigint());
const say = (record) => process.stdout.write(`${JSON.stringify({ id, ...record })}\n`);

if (suspends) {
  // As on a suspended machine: the monotonic clock stands still while this process is stopped, the wall clock goes on.
  const clock = performance.now.bind(performance);
  let last = clock();
  let missing = 0;
  performance.now = () => {
    const time = clock();
    if (time - last > 1_000) missing += time - last;
    last = time;
    return time - missing;
  };
  setInterval(() => performance.now(), 100).unref();
}

// Members are killed and isolated: a cluster without a leader for 5 s is what the test may do to it.
const etcd = new EtcdClient({ endpoints, requestTimeoutMs: 2_000, warnUnreachable: false });
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort(new Error("stop")));
let count = 0;

let state = seed;
/** In [0, 1), by Lehmer's generator. */
function random() {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}

/** Blocks everything here, renewals too, until the lease has run out in etcd. */
function stall() {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, (ttlSeconds + 1) * 1_000);
}

/** Writes under the guard of what it holds, and looks at its signal before and after each step. */
async function hold(name, held) {
  const belief = { name, token: held.token, first: undefined, last: undefined };
  const believes = () => {
    const before = now();
    if (held.signal.aborted) return false;
    belief.first ??= now();
    belief.last = before;
    return true;
  };
  const looking = setInterval(believes, 3);
  const end = performance.now() + 20 + random() * 150;
  while (believes() && performance.now() < end) {
    const write = { name, token: held.token, value: `${held.token} ${id} ${++count}` };
    try {
      const writing = held.txn([putOp(`${name}-row`, write.value)], { timeoutMs: 5_000 });
      // It looked at its signal, and has not left yet.
      if (random() < 0.012) stall();
      const { revision } = await writing;
      believes();
      say({ type: "write", outcome: "accepted", revision, ...write });
    } catch (error) {
      believes();
      const refused = error.code === "ETCD_FENCED_OUT" ? "fenced" : "failed";
      say({ type: "write", outcome: error.outcomeUnknown ? "unknown" : refused, code: error.code, ...write });
    }
    say({ type: "belief", ...belief });
    await sleep(5);
  }
  clearInterval(looking);
  say({ type: "belief", ...belief });
  say({ type: "over", name, token: held.token, at: now(), reason: held.signal.reason?.code ?? "released by itself" });
}

async function contendForLock(name) {
  const mutex = new Mutex(name, { client: etcd, ttlSeconds });
  mutex.on("warning", () => {});
  while (!stop.signal.aborted) {
    // Some give up waiting.
    const timeoutMs = 200 + random() * 6_000;
    await mutex
      .run((lock) => hold(name, lock), { signal: stop.signal, timeoutMs })
      .catch((error) => {
        say({ type: "gave up", name, code: error.code ?? error.message });
      });
  }
  await mutex.close();
}

async function contendInElection(name) {
  const election = new LeaderElection(name, id, { client: etcd, ttlSeconds });
  // Lost leases are what this is about; without a listener they go to stderr.
  election.on("warning", () => {});
  election.on("lost", (error) => say({ type: "lost", name, at: now(), message: error.message }));
  while (!stop.signal.aborted) {
    await election
      .lead((term) => hold(name, term), { signal: stop.signal })
      .catch((error) => {
        say({ type: "gave up", name, code: error.code ?? error.message });
      });
    await sleep(random() * 20);
  }
  await election.close();
}

say({ type: "ready" });
await Promise.all([...locks.map(contendForLock), ...elections.map(contendInElection)]);
await etcd.close();
say({ type: "done" });
