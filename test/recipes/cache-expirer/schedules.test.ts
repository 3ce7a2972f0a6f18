import { expect, test } from "vitest";
import { CacheExpirer } from "../../../recipes/cache-expirer/index.ts";
import { prefix } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real CacheExpirer in virtual time, on an etcd in memory, under faults by chance.

const all = prefix("cache/");
/** No request comes to etcd later than this after it was sent. */
const LATEST_MS = 11_000;

interface Eviction {
  readonly id: string;
  untilMs: number;
}

const kept = [
  // A deletion of a lost history comes to a key of the new one with the same modRevision.
  { seed: 4001, schedule: 108 },
  // Ids are deleted by hand while one of them is being evicted.
  { seed: 4003, schedule: 176 },
  // What was tracked and evicted in a new history, before the mirror noticed that there is one, is cleaned.
  { seed: 4008, schedule: 178 },
];

class Model {
  readonly #world: World;
  readonly ttlMs: number;
  readonly #ids: readonly string[];
  /** By id: when the last call began that said that the id lives. */
  readonly #livesFrom = new Map<string, number>();
  /** What may take an id away before its time, and until when. */
  readonly #evictions: Eviction[] = [];
  /** The ids whose key is there, as far as a tracker heard, and whose files are therefore written. */
  readonly #valid = new Set<string>();
  readonly trackers: { readonly expirer: CacheExpirer; readonly files: Set<string> }[] = [];
  tracked = 0;
  cleaned = 0;

  constructor(world: World) {
    const { random } = world;
    this.#world = world;
    this.ttlMs = random.pick([2, 8, 30]) * 1_000;
    this.#ids = Array.from({ length: random.between(1, 4) }, (_, index) => `id-${index}`);
    world.observe(all, ({ type, kv }) => {
      if (type === "delete") this.#gone(kv.key.slice("cache/".length));
    });
  }

  /** When all that was not touched since `nowMs` is gone. */
  goneBy(nowMs: number): number {
    return nowMs + this.ttlMs + (3 * this.ttlMs) / 64 + 5_000;
  }

  start(machine: Machine): CacheExpirer {
    const world = this.#world;
    const files = new Set<string>();
    const expirer = new CacheExpirer("cache/", {
      client: machine.etcd,
      ttlSeconds: this.ttlMs / 1_000,
      onExpire: async (id, reason) => {
        world.note(`${machine.name} cleans ${id}, ${reason}`);
        this.#checkClean(id);
        if (world.random.chance(0.3)) await machine.sleep(world.random.next() * 500);
        this.#checkClean(id);
        if (world.random.chance(0.1)) throw new Error("it cannot be cleaned now");
        files.delete(id);
        this.cleaned++;
      },
    });
    expirer.on("warning", (error) => world.note(`${machine.name}: ${error.message}`));
    expirer.on("failed", (error) => world.fail(`${machine.name} failed: ${error.message}`));
    this.trackers.push({ expirer, files });
    void this.#use(machine, expirer, files);
    return expirer;
  }

  #stopped = false;

  stop(): void {
    this.#stopped = true;
  }

  /** Ids are taken away by hand. */
  lost(): void {
    for (const id of this.#ids) this.#evictions.push({ id, untilMs: this.#world.nowMs });
    this.#valid.clear();
  }

  async #use({ name, sleep }: Machine, expirer: CacheExpirer, files: Set<string>): Promise<void> {
    const world = this.#world;
    const { random } = world;
    while (!this.#stopped) {
      await sleep(random.next() * random.pick([5, this.ttlMs / 4, this.ttlMs]));
      if (this.#stopped) return;
      const id = random.pick(this.#ids);
      const draw = random.next();
      const began = world.nowMs;
      const eviction = { id, untilMs: Number.POSITIVE_INFINITY };
      try {
        if (draw < 0.45) {
          await expirer.track(id, { timeoutMs: 3_000 });
          files.add(id);
          this.tracked++;
          this.#lives(id, began);
        } else if (draw < 0.9) {
          const there = await expirer.touch(id, { timeoutMs: 3_000 });
          if (there) this.#lives(id, began);
        } else {
          this.#evictions.push(eviction);
          await expirer.evict(id, { timeoutMs: 3_000 });
          eviction.untilMs = world.nowMs;
          world.note(`${name} evicted ${id}`);
        }
      } catch (error) {
        eviction.untilMs = world.nowMs + LATEST_MS;
        world.note(`${name}, ${id}: ${(error as Error).message}`);
      }
    }
  }

  #lives(id: string, fromMs: number): void {
    this.#world.note(`${id} lives, as of ${(fromMs / 1_000).toFixed(3)}`);
    this.#livesFrom.set(id, Math.max(fromMs, this.#livesFrom.get(id) ?? 0));
    if (this.#world.etcd.entries({ start: Buffer.from(`cache/${id}`) }).length > 0) this.#valid.add(id);
  }

  #gone(id: string): void {
    const world = this.#world;
    this.#valid.delete(id);
    const fromMs = this.#livesFrom.get(id) ?? Number.NEGATIVE_INFINITY;
    if (this.#evictions.some((eviction) => eviction.id === id && eviction.untilMs >= fromMs)) return;
    world.check(world.nowMs >= fromMs + this.ttlMs, `${id} is gone before its time`);
  }

  /** Of several trackers another one may track it in this moment. */
  #checkClean(id: string): void {
    if (this.trackers.length > 1) return;
    this.#world.check(!this.#valid.has(id), `${id} is tracked, and its files are cleaned`);
  }
}

test("an id lives its time after its last touch, and not much longer, and what is tracked is never cleaned", async () => {
  let [tracked, cleaned] = [0, 0];
  const { schedules } = await explore("cache", { schedules: 50, kept }, async (world) => {
    const { random, etcd } = world;
    const model = new Model(world);
    const machines = Array.from({ length: random.between(1, 2) }, () => world.machine());
    for (const machine of machines) model.start(machine);
    await world.storm(random.next() * Math.min(30_000, 3 * model.ttlMs), {
      byHand: [
        () => {
          world.note("all is deleted by hand");
          model.lost();
          etcd.deleteRange({ range: all });
        },
        () => {
          world.note("all leases are revoked by hand");
          model.lost();
          for (const id of etcd.leaseIds) etcd.leaseRevoke(id);
        },
        () => {
          model.lost();
          world.wipe();
        },
      ],
    });
    world.clear();
    if (random.chance(0.5)) await world.sleep(random.next() * model.ttlMs);
    model.stop();
    // What is on its way to etcd lands by then.
    await world.sleep(LATEST_MS);
    const isEmpty = () => etcd.entries(all).length === 0;
    await world.until(isEmpty, model.goneBy(0), "what is not touched is gone");
    const areClean = () => model.trackers.every(({ files }) => files.size === 0);
    await world.until(areClean, 60_000, "what is gone is cleaned, also after failures");
    for (const { expirer } of model.trackers) await expirer.close();
    tracked += model.tracked;
    cleaned += model.cleaned;
  });
  expect(tracked).toBeGreaterThan(schedules);
  expect(cleaned).toBeGreaterThan(schedules);
});
