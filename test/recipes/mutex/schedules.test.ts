import { expect, test } from "vitest";
import { type Lock, Mutex } from "../../../recipes/mutex/index.ts";
import { prefix, putOp } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real Mutex in virtual time, on an etcd in memory: whatever is slow, lost, late or cut off, one holder at a time.

const name = "/locks/model";
/** All who wait in a calm world have their turn by then: those of the storm die with their leases first. */
const ENOUGH_MS = 180_000;

class Model {
  readonly #world: World;
  readonly #held = new Set<Lock>();
  readonly #ttlSeconds: number;
  #lastToken = 0;
  #lastWrite = 0;
  acquired = 0;

  constructor(world: World) {
    this.#world = world;
    this.#ttlSeconds = world.random.pick([2, 5, 10]);
    world.observe(prefix("/fenced"), ({ kv }) => {
      const token = Number(kv.text);
      world.check(token >= this.#lastWrite, `token ${token} wrote after token ${this.#lastWrite}`);
      this.#lastWrite = token;
    });
  }

  /** One process that wants the lock again and again. */
  async contend({ name: who, etcd, sleep }: Machine, times: number): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const mutex = new Mutex(name, { ttlSeconds: this.#ttlSeconds, client: etcd });
    mutex.on("warning", (error) => world.note(`${who}: ${error.message}`));
    for (let time = 0; time < times; time++) {
      await sleep(random.next() * random.pick([1, 100, 3_000]));
      const timeoutMs = random.chance(0.2) ? random.between(1, 5_000) : undefined;
      const lock = await (random.chance(0.2) ? mutex.tryAcquire() : mutex.acquire({ timeoutMs })).catch(
        (error: Error) => world.note(`${who} did not get it: ${error.message}`),
      );
      if (!lock) continue;
      this.#acquire(who, lock);
      for (let writes = random.between(0, 2); writes > 0; writes--) {
        await sleep(random.next() * random.pick([10, 1_000, 6_000]));
        await lock
          .txn([putOp("/fenced", String(lock.token))])
          .catch((error: Error) => world.note(`${who} did not write: ${error.message}`));
      }
      if (random.chance(0.5)) await sleep(random.next() * 1_000);
      this.#held.delete(lock);
      world.note(`${who} releases ${lock.token}`);
      const released = lock.release();
      if (random.chance(0.5)) await released;
    }
    await mutex.close();
    world.note(`${who} is done`);
  }

  #acquire(who: string, lock: Lock): void {
    const world = this.#world;
    const { token } = lock;
    world.note(`${who} holds ${token}`);
    this.acquired++;
    // Of an answer that took longer than the lease nothing is held.
    if (lock.signal.aborted) return;
    for (const other of this.#held) world.check(other.signal.aborted, `${token} is held, and ${other.token} still`);
    world.check(token > this.#lastToken, `token ${token} comes after ${this.#lastToken}`);
    this.#lastToken = token;
    for (const { key, createRevision } of world.etcd.entries(prefix(`${name}/`)))
      world.check(createRevision >= token, `${token} is held, and ${key} came before it`);
    this.#held.add(lock);
  }
}

test("one holder at a time, in the order in which they came, with tokens that grow", async () => {
  let acquired = 0;
  const ran = await explore("mutex", { schedules: 60 }, async (world) => {
    const { random } = world;
    const model = new Model(world);
    const machines = Array.from({ length: random.between(2, 3) }, () => world.machine());
    let left = machines.length;
    for (const machine of machines) void model.contend(machine, random.between(1, 2)).then(() => left--);
    await world.storm(random.next() * 20_000);
    world.clear();
    await world.until(() => left === 0, ENOUGH_MS, "all had their turn");
    const late = world.machine();
    void model.contend(late, 1).then(() => left--);
    await world.until(() => left === -1, ENOUGH_MS, "who comes later has his turn");
    await world.sleep(15_000);
    world.check(world.etcd.entries(prefix(`${name}/`)).length === 0, "the line is empty");
    acquired += model.acquired;
  });
  expect(acquired).toBeGreaterThan(ran.schedules);
});
