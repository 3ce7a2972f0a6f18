import { expect, test } from "vitest";
import { type GroupMember, RegistrationGroup } from "../../../recipes/registration-group/index.ts";
import { ServiceRegister } from "../../../recipes/service-register/index.ts";
import { leaseId, type WatchEvent } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real ServiceRegister, and the real RegistrationGroup, in virtual time, on an etcd in memory, under faults by
// chance.

const below = "/model/";
const keys = ["/model/a", "/model/b"] as const;
const ENOUGH_MS = 90_000;
/** No request comes to etcd later than this after it was sent. */
const LATEST_MS = 11_000;
/** A key that is looked at anew is so at the latest after this. */
const LOOK_AGAIN_MS = 40_000;
/** No close waits longer for etcd. */
const LONGEST_CLOSE_MS = 5_000;

/** How a key is registered: alone, on a lease of its own or a shared one, or as one of a group. */
type Door = "own" | "shared" | "group";

/** The group of a machine. */
const groups = new WeakMap<Machine, RegistrationGroup>();

function groupOf(machine: Machine, ttlSeconds: number, world: World): RegistrationGroup {
  const group = groups.get(machine) ?? new RegistrationGroup(below, ttlSeconds, { client: machine.etcd });
  if (!groups.has(machine)) group.on("warning", (error) => world.note(`a group: ${error.message}`));
  groups.set(machine, group);
  return group;
}

/** One object, and what is true of it. */
class Registered {
  readonly key: string;
  readonly register: ServiceRegister | GroupMember;
  readonly name: string;
  readonly machine: Machine;
  readonly #world: World;
  #version = 0;
  healthy = true;
  /** It heard that it is registered: from now on it replaces no other. */
  isKnown = false;
  closing = false;
  closedAtMs = Number.POSITIVE_INFINITY;
  cleanly = true;

  constructor(
    world: World,
    name: string,
    { key, machine, door, ttlSeconds }: { key: string; machine: Machine; door: Door; ttlSeconds: number },
  ) {
    const { random } = world;
    this.#world = world;
    this.name = name;
    this.machine = machine;
    this.key = key;
    const onConflict = random.pick(["replace", "wait"] as const);
    const health = random.chance(0.2) && { health: () => this.healthy, healthEverySeconds: 1 };
    this.register =
      door === "group"
        ? groupOf(machine, ttlSeconds, world).register(key.slice(below.length), this.text, { onConflict })
        : new ServiceRegister(key, this.text, ttlSeconds, { client: machine.etcd, lease: door, onConflict, ...health });
    this.register.on("warning", (error) => {
      if (this.closing) this.cleanly = false;
      world.note(`${name}: ${error.message}`);
    });
    this.register.on("registered", () => {
      this.isKnown = true;
      world.check(!this.closing, `${name} was closed, and is reported registered`);
    });
    this.register.on("status", (status) => world.note(`${name} is ${status}`));
    this.register.on("failed", (error) => world.fail(`${name} failed: ${error.message}`));
  }

  get text(): string {
    return `${this.name}:${this.#version}`;
  }

  /** Its key is there, with its newest value, on a lease that lives; or it waits for the one who has it. */
  get isTrue(): boolean {
    const { etcd } = this.#world;
    const [kv] = etcd.entries({ start: Buffer.from(this.key) });
    if (this.register.status === "passive") return kv !== undefined && kv.text !== this.text;
    return (
      this.register.status === "registered" &&
      kv?.text === this.text &&
      kv.lease !== undefined &&
      etcd.leaseIds.includes(kv.lease)
    );
  }

  /** Nothing of it is there, also while others live on its lease. */
  get isGone(): boolean {
    const [kv] = this.#world.etcd.entries({ start: Buffer.from(this.key) });
    return kv?.text.split(":")[0] !== this.name;
  }

  /** Each does what it has come to: its key is there, or it was closed and is not. */
  get isSettled(): boolean {
    return this.closing ? this.isGone : this.isTrue;
  }

  update(): void {
    this.#version++;
    this.#world.note(`${this.name} says ${this.text}`);
    this.register.update({ address: this.text }).catch(() => {});
  }

  async close(): Promise<void> {
    const world = this.#world;
    this.closing = true;
    world.note(`${this.name} is being closed`);
    await this.register.close();
    this.closedAtMs = world.nowMs;
    world.note(`${this.name} is closed${this.cleanly ? "" : ", somehow"}`);
    if (this.cleanly) world.check(this.isGone, `${this.name} was closed, and is there`);
  }
}

class Model {
  readonly #world: World;
  readonly all: Registered[] = [];
  events = 0;

  constructor(world: World) {
    this.#world = world;
    for (const key of keys) world.observe({ start: Buffer.from(key) }, (event) => this.#saw(event));
  }

  get open(): Registered[] {
    return this.all.filter(({ closing }) => !closing);
  }

  /** One of those that are on a lease together. */
  get oneOfMany(): Registered | undefined {
    const there = this.open.filter(({ register }) => register.status === "registered");
    return there.find((one) => there.some((other) => other !== one && other.machine === one.machine));
  }

  ownerOf(text: string | undefined): Registered | undefined {
    return this.all.find(({ name }) => text?.split(":")[0] === name);
  }

  #saw({ type, kv, previous }: WatchEvent): void {
    const world = this.#world;
    this.events++;
    if (type === "delete") return;
    const owner = this.ownerOf(kv.text);
    if (!owner) return;
    if (previous && this.ownerOf(previous.text) !== owner)
      world.check(!owner.isKnown, `${owner.name} was registered, and replaces ${previous.text}`);
    world.check(world.nowMs < owner.closedAtMs + LATEST_MS, `${owner.name} was closed long ago, and is put`);
  }
}

test("the key is there with the newest value as long as the object lives, never after it, and no two owners fight", async () => {
  let events = 0;
  const { schedules } = await explore("register", { schedules: 60 }, async (world) => {
    const { random, etcd } = world;
    const model = new Model(world);
    const door = random.pick(["own", "shared", "group"] as const);
    // A lease is shared when there are two.
    const count = random.between(door === "own" ? 1 : 2, 3);
    const machines = Array.from({ length: count }, () => world.machine());
    // Those of a machine can be on one lease, which outlives the close of one of them that does not reach etcd.
    const ttls = machines.map(() => random.pick(door === "own" ? [2, 5, 9] : [2, 9, 30]));
    const taken = new Set<string>();
    for (let number = 0; number < count; number++) {
      const shared = door !== "own" && random.chance(0.8);
      const free = keys.filter((key) => !shared || !taken.has(`0 ${key}`));
      if (free.length === 0) continue;
      const key = random.pick(free);
      const machine = shared ? 0 : number;
      if (taken.has(`${machine} ${key}`)) continue;
      taken.add(`${machine} ${key}`);
      await world.sleep(random.next() * random.pick([1, 5_000]));
      const of = { key, machine: machines[machine] as Machine, door, ttlSeconds: ttls[machine] as number };
      model.all.push(new Registered(world, `service-${number}`, of));
    }
    const ms = random.next() * 25_000;
    for (const each of model.all) {
      for (let updates = random.between(0, 3); updates > 0; updates--)
        world.time.after(random.next() * ms, () => each.closing || each.update());
      if (random.chance(0.3)) {
        world.time.after(random.next() * ms, () => {
          each.healthy = false;
        });
      }
      if (random.chance(0.4)) {
        const outageMs = random.chance(0.6) ? random.next() * 12_000 : 0;
        world.time.after(random.next() * ms, () => {
          if (outageMs > 0) {
            world.note(`${each.machine.name} is cut off for ${outageMs.toFixed(0)} ms, and cannot take its key back`);
            each.machine.network.cut(outageMs, random.pick(["refused", "silent"]));
          }
          void each.close();
        });
      }
    }
    const start = Buffer.from(random.pick(keys));
    await world.storm(ms, {
      longestMs: 25_000,
      byHand: [
        () => {
          world.note("the key is deleted by hand");
          etcd.deleteRange({ range: { start } });
        },
        () => {
          const [kv] = etcd.entries({ start });
          if (!kv?.lease) return;
          world.note(`${kv.lease} is revoked by hand`);
          etcd.leaseRevoke(leaseId(kv.lease));
        },
        () => {
          world.note("a stranger puts the key, for a while");
          etcd.put({ key: start, value: Buffer.from("stranger") });
          world.time.after(random.next() * 10_000, () => etcd.deleteRange({ range: { start } }));
        },
        () => world.wipe(),
      ],
    });
    world.clear();
    for (const each of model.all) each.healthy = true;
    // One that stands still longer than the storm can lose its lease after it.
    await Promise.all(machines.map((machine) => machine.sleep(0)));
    await world.sleep(LATEST_MS);
    const isSettled = () => model.all.every((each) => each.isSettled);
    await world.until(isSettled, ENOUGH_MS, "each is there, or waits for another, or was closed and is gone");
    const before = model.events;
    await world.sleep(LOOK_AGAIN_MS);
    world.check(model.events === before, "what is true stays as it is");
    world.check(isSettled(), "what is true stays true");
    // The lease lives on with the others, so it takes no key with it.
    const leaving = model.oneOfMany;
    if (leaving) {
      world.note(`${leaving.name} leaves, and etcd is out of reach`);
      leaving.machine.network.cut(LONGEST_CLOSE_MS + 500, "silent");
      await leaving.close();
      await world.until(() => leaving.isGone, LOOK_AGAIN_MS, `the key of ${leaving.name} is gone`);
      await world.until(isSettled, ENOUGH_MS, "the others are there again, or still");
    }
    await Promise.all(model.open.map((each) => each.close()));
    for (const each of model.all) world.check(each.register.status === "closed", `${each.name} is closed`);
    await world.sleep(LATEST_MS);
    // One that could not be closed cleanly is left to its lease, which another leader may have given its whole time
    // again.
    await world.until(
      () => keys.every((key) => etcd.entries({ start: Buffer.from(key) }).length === 0),
      door === "group" ? LOOK_AGAIN_MS : 20_000,
      "all are gone",
    );
    // The lease of a group lives on: what lands late is deleted, at the latest when it is looked at anew.
    await world.sleep(door === "group" ? LATEST_MS + LOOK_AGAIN_MS : LATEST_MS);
    world.check(
      keys.every((key) => etcd.entries({ start: Buffer.from(key) }).length === 0),
      "all stay gone",
    );
    await Promise.all(machines.map((machine) => groups.get(machine)?.close()));
    events += model.events;
  });
  expect(events).toBeGreaterThan(schedules);
});
