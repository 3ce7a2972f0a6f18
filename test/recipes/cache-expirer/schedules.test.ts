import { expect, test } from "vitest";
import { CacheExpirer } from "../../../recipes/cache-expirer/index.ts";
import { prefix } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real CacheExpirer in virtual time, on an etcd in memory, under faults by chance.

const all = prefix("cache/");
/** No request comes to etcd later than this after it was sent. */
const LATEST_MS = 11_000;
/** From an answer to what follows from it no time passes, but for steps that are a moment apart. */
const A_MOMENT_MS = 10;

/** How cleaning goes. */
interface Cleaning {
  readonly longestMs: number;
  /** How likely it fails, as a part of one. */
  readonly fails: number;
  readonly concurrency: number;
  /** When all is cleaned that is gone, after the last key went. */
  readonly doneMs: number;
}

const usual: Cleaning = { longestMs: 500, fails: 0.1, concurrency: 16, doneMs: 60_000 };

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
  // A key of a new history is swept when the answer of the old one, that hid it, is forgotten.
  { seed: 77, schedule: 1125 },
];

class Model {
  readonly #world: World;
  readonly ttlMs: number;
  readonly #ids: readonly string[];
  /** By id: when the last call began that said that the id lives. */
  readonly #livesFrom = new Map<string, number>();
  /** What may take an id away before its time, and until when. */
  readonly #evictions: Eviction[] = [];
  /**
   * By tracker: the ids that it has tracked, whose key is there since, and whose files are therefore written. What a
   * touch finds counts, too, unless the key may be of another tracker, or of a track() whose outcome is unknown.
   */
  readonly #valid = new Map<Machine, Set<string>>();
  /** The ids whose last track() failed: it may land, and the id may be tracked or not. */
  readonly #unsure = new Set<string>();
  /** By id: since when its key is there. */
  readonly #thereSinceMs = new Map<string, number>();
  readonly #cleaning: Cleaning;
  readonly trackers: { readonly expirer: CacheExpirer; readonly files: Set<string> }[] = [];
  tracked = 0;
  cleaned = 0;

  constructor(world: World, cleaning: Cleaning) {
    const { random } = world;
    this.#world = world;
    this.#cleaning = cleaning;
    this.ttlMs = random.pick([2, 8, 30]) * 1_000;
    this.#ids = Array.from({ length: random.between(1, 4) }, (_, index) => `id-${index}`);
    world.observe(all, ({ type, kv }) => {
      const id = kv.key.slice("cache/".length);
      if (type === "delete") this.#gone(id);
      else if (kv.version === 1) this.#thereSinceMs.set(id, world.nowMs);
    });
  }

  /** When all that was not touched since `nowMs` is gone. */
  goneBy(nowMs: number): number {
    return nowMs + this.ttlMs + (3 * this.ttlMs) / 64 + 5_000;
  }

  start(machine: Machine): CacheExpirer {
    const world = this.#world;
    const { random } = world;
    const { longestMs, fails, concurrency } = this.#cleaning;
    const files = new Set<string>();
    this.#valid.set(machine, new Set());
    const expirer = new CacheExpirer("cache/", {
      client: machine.etcd,
      ttlSeconds: this.ttlMs / 1_000,
      concurrency,
      onExpire: async (id, reason) => {
        world.note(`${machine.name} cleans ${id}, ${reason}`);
        this.#checkAsked(machine, id);
        this.#checkClean(machine, id);
        if (random.chance(0.3)) await machine.sleep(random.next() * longestMs);
        this.#checkClean(machine, id);
        if (random.chance(fails)) throw new Error("it cannot be cleaned now");
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
    for (const valid of this.#valid.values()) valid.clear();
    this.#thereSinceMs.clear();
  }

  async #use(machine: Machine, expirer: CacheExpirer, files: Set<string>): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const { name, sleep } = machine;
    while (!this.#stopped) {
      await sleep(random.next() * random.pick([5, this.ttlMs / 4, this.ttlMs]));
      if (this.#stopped) return;
      const id = random.pick(this.#ids);
      const draw = random.next();
      const began = world.nowMs;
      const eviction = { id, untilMs: Number.POSITIVE_INFINITY };
      try {
        if (draw < 0.45) {
          this.#unsure.add(id);
          await expirer.track(id, { timeoutMs: 3_000 });
          this.#unsure.delete(id);
          files.add(id);
          this.tracked++;
          this.#lives(id, began);
          this.#isValid(machine, id);
        } else if (draw < 0.9) {
          const there = await expirer.touch(id, { timeoutMs: 3_000 });
          if (there) this.#lives(id, began);
          if (there && this.trackers.length === 1 && !this.#unsure.has(id)) this.#isValid(machine, id);
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
  }

  #isValid(machine: Machine, id: string): void {
    if (this.#world.etcd.entries({ start: Buffer.from(`cache/${id}`) }).length > 0) this.#valid.get(machine)?.add(id);
  }

  #gone(id: string): void {
    const world = this.#world;
    for (const valid of this.#valid.values()) valid.delete(id);
    this.#thereSinceMs.delete(id);
    const fromMs = this.#livesFrom.get(id) ?? Number.NEGATIVE_INFINITY;
    if (this.#evictions.some((eviction) => eviction.id === id && eviction.untilMs >= fromMs)) return;
    world.check(world.nowMs >= fromMs + this.ttlMs, `${id} is gone before its time`);
  }

  /** What one tracker has tracked is not cleaned by it; by another one it may be, in the moment before it asks. */
  #checkClean(machine: Machine, id: string): void {
    this.#world.check(!this.#valid.get(machine)?.has(id), `${id} is tracked, and its files are cleaned`);
  }

  /** Etcd said a moment ago that there is no key, also if another tracker has brought it back since. */
  #checkAsked({ name, network }: Machine, id: string): void {
    const world = this.#world;
    const forMs = world.nowMs - (this.#thereSinceMs.get(id) ?? world.nowMs);
    const askedMs = network.oldestAnswerMs + A_MOMENT_MS;
    world.check(forMs <= askedMs, `${name} cleans ${id}, whose key is there for ${forMs} ms`);
  }
}

/** One or two processes use some ids under faults, also those by hand, until all are gone and cleaned. */
async function caches(world: World, cleaning: Cleaning): Promise<Model> {
  const { random, etcd } = world;
  const model = new Model(world, cleaning);
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
  await world.until(areClean, cleaning.doneMs, "what is gone is cleaned, also after failures");
  for (const { expirer } of model.trackers) await expirer.close();
  return model;
}

test("an id lives its time after its last touch, and not much longer, and what is tracked is never cleaned", async () => {
  let [tracked, cleaned] = [0, 0];
  const { schedules } = await explore("cache", { schedules: 50, kept }, async (world) => {
    const model = await caches(world, usual);
    tracked += model.tracked;
    cleaned += model.cleaned;
  });
  expect(tracked).toBeGreaterThan(schedules);
  expect(cleaned).toBeGreaterThan(schedules);
});

test("what is to be cleaned for long, and is tracked again by then, is not cleaned", async () => {
  let cleaned = 0;
  const { schedules } = await explore("slow cleaning", { schedules: 50 }, async (world) => {
    const { random } = world;
    const fails = random.pick([0.1, 0.6]);
    const model = await caches(world, { longestMs: 20_000, fails, concurrency: random.pick([1, 2]), doneMs: 900_000 });
    cleaned += model.cleaned;
  });
  expect(cleaned).toBeGreaterThan(schedules);
});
