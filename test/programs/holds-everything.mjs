// Holds one of everything that stands on a lease, looks at every signal all the time, and says what it saw whenever its
// clocks did something odd. It says so once its leases have been renewed after that, or are held anew.
// argv: { endpoint, name, ttlSeconds, sleepsMs }. On SIGUSR2 it is, as far as it can see, on a machine that slept: for
// the next of `sleepsMs`. When its wall clock moves, that is for others to do.

import { syncBuiltinESMExports } from "node:module";
import os from "node:os";

const { endpoint, name, ttlSeconds, sleepsMs } = JSON.parse(process.argv[2]);

// Before the library is loaded: it takes its clocks then.
let sleptMs = 0;
if (sleepsMs) {
  const { now } = Date;
  const { uptime } = os;
  Date.now = () => now() + sleptMs;
  os.uptime = () => uptime() + sleptMs / 1_000;
  syncBuiltinESMExports();
}
const { EtcdClient, LeaderElection, Mutex, Queue, ServiceRegister } = await import("etcd-recipes");

const etcd = new EtcdClient({ endpoints: endpoint });
const say = (record) => console.log(JSON.stringify(record));

/** What was reported of each thing since the last report. */
let received = {};
const emit = (what, event) => {
  received[what] = [...(received[what] ?? []), event];
};

/** Looks at a signal all the time: once it read aborted it must stay so, and the event must have been there. */
const watched = new Map();
function watch(what, signal) {
  const state = { signal, aborted: false, fired: false };
  watched.set(what, state);
  signal.addEventListener("abort", () => {
    state.fired = true;
    emit(what, "abort event");
  });
}
setInterval(() => {
  for (const [what, state] of watched) {
    const { aborted } = state.signal;
    if (aborted && !state.aborted) emit(what, "reads aborted");
    if (!aborted && state.aborted) emit(what, "reads aborted no more");
    if (aborted && !state.fired) emit(what, "reads aborted without an event");
    state.aborted = aborted;
  }
}, 2);

const election = new LeaderElection(`${name}/leader`, "a", { client: etcd, ttlSeconds });
for (const event of ["lost", "resigned", "failed", "overdue"]) election.on(event, () => emit("lead()", event));
let terms = 0;
const leading = election.lead(async (term) => {
  terms++;
  emit("lead()", "leads");
  watch("term", term.signal);
  // As users write it.
  while (!term.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 3));
});
leading.then(
  () => emit("lead()", "resolved"),
  (error) => emit("lead()", `rejected: ${error.message}`),
);

const lock = await new Mutex(`${name}/lock`, { client: etcd, ttlSeconds }).acquire();
watch("lock", lock.signal);

const queue = new Queue(`${name}/queue`, { client: etcd, ttlSeconds });
await queue.enqueue("job", { id: "job" });
const job = await queue.dequeue();
watch("job", job.signal);

const registers = { "own registration": "own", "shared registration": "shared" };
for (const [what, lease] of Object.entries(registers)) {
  const register = new ServiceRegister(`${name}/services/${lease}`, "host:1", ttlSeconds, {
    client: etcd,
    lease,
    weight: 1,
  });
  await register.ready;
  register.on("status", (status) => emit(what, status));
  register.on("lost", () => emit(what, "lost"));
  // It looks at its lease whenever it has something to write.
  let weight = 1;
  setInterval(() => register.update({ weight: (++weight % 100) + 1 }), 20);
}

const lease = await etcd.grantLease(ttlSeconds);
watch("lease", lease.signal);
const detached = await etcd.grantLease(600, { keepAlive: false });
watch("detached lease", detached.signal);

const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};
await until(() => terms === 1);

/** How much more is left than a look ago: a renewal was answered. */
async function renewed() {
  let before = lease.remainingMs();
  await until(() => {
    const left = lease.remainingMs();
    const grown = left > before + 50;
    before = left;
    return grown;
  });
}

async function report(what, more = {}) {
  const seen = received;
  received = {};
  say({ what, received: seen, terms, ...more });
}

process.on("SIGUSR2", async () => {
  const ms = sleepsMs.shift();
  const before = { lease: lease.remainingMs(), detached: detached.remainingMs() };
  sleptMs += ms;
  // The first look of all, before any timer or event.
  const firstLook = [...watched]
    .filter(([, { signal }]) => signal.aborted)
    .map(([what]) => what)
    .sort();
  const took = { lease: before.lease - lease.remainingMs(), detached: before.detached - detached.remainingMs() };
  if (firstLook.includes("lease")) {
    await until(() => terms === 2 && Object.keys(registers).every((what) => received[what]?.at(-1) === "registered"));
    const again = await queue.dequeue();
    emit("job", `handed out again, attempt ${again.attempt}`);
  } else {
    await renewed();
  }
  await report(`slept ${ms}`, { firstLook, took });
});

let aheadMs = Date.now() - performance.now();
setInterval(async () => {
  const nowMs = Date.now() - performance.now();
  const steppedMs = nowMs - aheadMs;
  if (sleepsMs || Math.abs(steppedMs) < 1_000) return;
  aheadMs = nowMs;
  await renewed();
  await report(`stepped ${Math.round(steppedMs / 100) * 100}`);
}, 2);

process.on("SIGTERM", async () => {
  // What it holds is of use to the end.
  await lock.txn([]).then(
    () => emit("lock", "held to the end"),
    (error) => emit("lock", error.code),
  );
  await job.ack().then(
    () => emit("job", "acknowledged"),
    (error) => emit("job", error.code),
  );
  await report("end");
  process.exit(0);
});

await report("holds");
