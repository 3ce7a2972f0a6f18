/**
 * Three workers, one lock: each counts one up, outside etcd, in something that refuses older tokens. Run
 * `etcdctl lock /locks/counter` beside it to hold them up.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/lock.js
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdTimeoutError, Mutex } from "etcd-recipes";

/** Stands for a table with a row: `UPDATE counter SET value = ?, token = ? WHERE token <= ?`. */
const row = {
  value: 0,
  token: 0,
  update(value: number, token: number): boolean {
    if (token < this.token) return false;
    Object.assign(this, { value, token });
    return true;
  },
};

await using mutex = new Mutex("/locks/counter", { ttlSeconds: 10 });

async function work(worker: number): Promise<void> {
  await mutex.run(
    async (lock) => {
      const { value } = row;
      await sleep(50); // reading and then writing needs a lock
      const written = row.update(value + 1, lock.token);
      console.log(`worker ${worker}: ${written ? row.value : "another worker came after me"}`);
    },
    { timeoutMs: 30_000 },
  );
}

await Promise.all([work(1), work(2), work(3)]);
console.log(`counted to ${row.value}`);

const lock = await mutex.acquire();
try {
  await mutex.acquire({ timeoutMs: 100 });
} catch (error) {
  if (!(error instanceof EtcdTimeoutError)) throw error;
  console.log(error.message);
}
await lock.release();
