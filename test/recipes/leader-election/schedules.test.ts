import { expect, test } from "vitest";
import { LeaderElection, type Term } from "../../../recipes/leader-election/index.ts";
import { prefix, putOp } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real LeaderElection in virtual time, on an etcd in memory, under faults by chance.

const name = "/model";
const line = prefix(`${name}/`);
const ENOUGH_MS = 180_000;
/**
 * An answer comes no later than this after it left etcd: a call's time, and the longest that a process stands still.
 */
const LATEST_ANSWER_MS = 20_000;

/** The key of a candidate is deleted by hand while the answer that it stands is on its way. */
const kept = [{ seed: 5002, schedule: 130 }];

class Model {
  readonly #world: World;
  /** The terms whose work runs. */
  readonly #terms = new Set<Term>();
  readonly #ttlSeconds: number;
  /** Keys are deleted and leases revoked by hand: then the next one leads before the last one has heard of it. */
  readonly #byHand: boolean;
  /** When the key of each token was deleted. */
  readonly #deletedAtMs = new Map<number, number>();
  #lastToken = 0;
  #lastWrite = 0;
  elected = 0;

  constructor(world: World, byHand: boolean) {
    this.#world = world;
    this.#byHand = byHand;
    this.#ttlSeconds = world.random.pick([2, 6]);
    world.observe(line, ({ type, previous }) => {
      if (type === "delete" && previous) this.#deletedAtMs.set(previous.createRevision, world.nowMs);
    });
    world.observe(prefix("/fenced"), ({ kv }) => {
      const token = Number(kv.text);
      world.check(token >= this.#lastWrite, `token ${token} wrote after token ${this.#lastWrite}`);
      this.#lastWrite = token;
    });
  }

  /** Campaigns until it has led to the end of its work. */
  async campaign({ name: who, etcd, sleep }: Machine): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const election = new LeaderElection(name, who, { ttlSeconds: this.#ttlSeconds, client: etcd });
    election.on("warning", (error) => world.note(`${who}: ${error.message}`));
    election.on("lost", (error) => world.note(`${who} lost its term: ${error.message}`));
    await sleep(random.next() * random.pick([1, 100, 3_000]));
    let working = 0;
    await election.lead(async (term) => {
      world.check(++working === 1, `two terms of ${who} overlap`);
      this.#begin(who, term);
      for (let writes = random.between(1, 3); writes > 0 && !term.signal.aborted; writes--) {
        await sleep(random.next() * random.pick([10, 1_000, 6_000]));
        await term
          .txn([putOp("/fenced", String(term.token))])
          .catch((error: Error) => world.note(`${who} did not write: ${error.message}`));
      }
      this.#terms.delete(term);
      working--;
    });
    await election.close();
    world.note(`${who} is done`);
  }

  #begin(who: string, term: Term): void {
    const world = this.#world;
    const { token } = term;
    world.note(`${who} leads with ${token}`);
    this.elected++;
    if (term.signal.aborted) return;
    for (const other of this.#terms) {
      if (!this.#byHand) world.check(other.signal.aborted, `${token} leads, and ${other.token} still`);
    }
    const keys = world.etcd.entries(line);
    // Its key was deleted by hand while the answer that it stands was on its way: the news of that follows.
    if (this.#byHand && !keys.some(({ createRevision }) => createRevision === token)) {
      const goneMs = world.nowMs - (this.#deletedAtMs.get(token) ?? 0);
      world.check(goneMs < LATEST_ANSWER_MS, `${token} leads, and its key is gone since ${goneMs} ms`);
      return;
    }
    world.check(token > this.#lastToken, `token ${token} comes after ${this.#lastToken}`);
    this.#lastToken = token;
    for (const { key, createRevision } of keys)
      world.check(createRevision >= token, `${token} leads, and ${key} came before it`);
    this.#terms.add(term);
  }
}

test("one leader at a time, in the order of their registration, with tokens that grow, and everybody leads once", async () => {
  let elected = 0;
  const { schedules } = await explore("election", { schedules: 60, kept }, async (world) => {
    const { random } = world;
    const byHand = random.chance(0.3);
    const model = new Model(world, byHand);
    const machines = Array.from({ length: random.between(2, 3) }, () => world.machine());
    let left = machines.length;
    for (const machine of machines) void model.campaign(machine).then(() => left--);
    const someKey = () => {
      const keys = world.etcd.entries(line);
      return keys.length > 0 ? random.pick(keys) : undefined;
    };
    const faults = [
      () => {
        const kv = someKey();
        if (kv) world.note(`${kv.key} is deleted by hand`);
        if (kv) world.etcd.deleteRange({ range: { start: kv.keyBytes } });
      },
      () => {
        const lease = someKey()?.lease;
        if (lease) world.note(`${lease} is revoked by hand`);
        if (lease) world.etcd.leaseRevoke(lease);
      },
    ];
    await world.storm(random.next() * 20_000, { byHand: byHand ? faults : [] });
    world.clear();
    await world.until(() => left === 0, ENOUGH_MS, "everybody has led");
    await world.sleep(15_000);
    world.check(world.etcd.entries(line).length === 0, "the line is empty");
    elected += model.elected;
  });
  expect(elected).toBeGreaterThan(schedules);
});
