import { expect, test } from "vitest";
import { LeaderElection, type Term } from "../../../recipes/leader-election/index.ts";
import { prefix, putOp } from "../../../src/index.ts";
import { explore } from "../../support/schedules/explore.ts";
import type { Machine, World } from "../../support/schedules/world.ts";

// The real LeaderElection in virtual time, on an etcd in memory, under faults by chance.

const name = "/model";
const line = prefix(`${name}/`);
const ENOUGH_MS = 180_000;
/** From an answer to the work of a term no time passes, but for steps that are a moment apart. */
const A_MOMENT_MS = 10;

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
  /** The tokens whose key was the first in line, if only for a moment. */
  readonly #wereFirst = new Set<number>();
  #lastToken = 0;
  #lastWrite = 0;
  elected = 0;

  constructor(world: World, byHand: boolean) {
    this.#world = world;
    this.#byHand = byHand;
    this.#ttlSeconds = world.random.pick([2, 6]);
    world.observe(line, ({ type, previous }) => {
      if (type === "delete" && previous) this.#deletedAtMs.set(previous.createRevision, world.nowMs);
      const tokens = world.etcd.entries(line).map(({ createRevision }) => createRevision);
      if (tokens.length > 0) this.#wereFirst.add(Math.min(...tokens));
    });
    world.observe(prefix("/fenced"), ({ kv }) => {
      const token = Number(kv.text);
      world.check(token >= this.#lastWrite, `token ${token} wrote after token ${this.#lastWrite}`);
      this.#lastWrite = token;
    });
  }

  /** Campaigns until it has led to the end of its work. */
  async campaign({ name: who, etcd, network, sleep }: Machine): Promise<void> {
    const world = this.#world;
    const { random } = world;
    const election = new LeaderElection(name, who, { ttlSeconds: this.#ttlSeconds, client: etcd });
    election.on("warning", (error) => world.note(`${who}: ${error.message}`));
    election.on("lost", (error) => world.note(`${who} lost its term: ${error.message}`));
    await sleep(random.next() * random.pick([1, 100, 3_000]));
    let working = 0;
    await election.lead(async (term) => {
      world.check(++working === 1, `two terms of ${who} overlap`);
      this.#begin(who, term, network.oldestAnswerMs + A_MOMENT_MS);
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

  /** @param heardMs how long ago etcd said that it leads, at most */
  #begin(who: string, term: Term, heardMs: number): void {
    const world = this.#world;
    const { token } = term;
    world.note(`${who} leads with ${token}`);
    this.elected++;
    if (term.signal.aborted) return;
    world.check(this.#wereFirst.has(token), `${token} leads, and its key was never the first`);
    for (const other of this.#terms) {
      if (!this.#byHand) world.check(other.signal.aborted, `${token} leads, and ${other.token} still`);
    }
    const keys = world.etcd.entries(line);
    // Its key was deleted by hand while the answer that it stands was on its way: the news of that follows.
    if (this.#byHand && !keys.some(({ createRevision }) => createRevision === token)) {
      const goneMs = world.nowMs - (this.#deletedAtMs.get(token) ?? 0);
      world.check(goneMs < heardMs, `${token} leads, and its key is gone since ${goneMs} ms`);
      return;
    }
    world.check(token > this.#lastToken, `token ${token} comes after ${this.#lastToken}`);
    this.#lastToken = token;
    for (const { key, createRevision } of keys)
      world.check(createRevision >= token, `${token} leads, and ${key} came before it`);
    this.#terms.add(term);
  }
}

/** Two or three campaign under faults, also those by hand, until each has led. @returns how many terms there were */
async function campaigns(world: World, byHand: readonly ByHand[]): Promise<number> {
  const { random } = world;
  const model = new Model(world, byHand.length > 0);
  const machines = Array.from({ length: random.between(2, 3) }, () => world.machine());
  let left = machines.length;
  for (const machine of machines) void model.campaign(machine).then(() => left--);
  await world.storm(random.next() * 20_000, { byHand: byHand.map((fault) => () => fault(world)) });
  world.clear();
  await world.until(() => left === 0, ENOUGH_MS, "everybody has led");
  await world.sleep(15_000);
  world.check(world.etcd.entries(line).length === 0, "the line is empty");
  return model.elected;
}

type ByHand = (world: World) => void;

const deletesKey: ByHand = (world) => {
  const kv = someKey(world);
  if (kv) world.note(`${kv.key} is deleted by hand`);
  if (kv) world.etcd.deleteRange({ range: { start: kv.keyBytes } });
};

const revokesLease: ByHand = (world) => {
  const lease = someKey(world)?.lease;
  if (lease) world.note(`${lease} is revoked by hand`);
  if (lease) world.etcd.leaseRevoke(lease);
};

/** Who waits loses its own key and the one before it in the same moment, and can hear of either first. */
const deletesLine: ByHand = (world) => {
  world.note("the whole line is deleted by hand");
  world.etcd.deleteRange({ range: line });
};

function someKey({ etcd, random }: World) {
  const keys = etcd.entries(line);
  return keys.length > 0 ? random.pick(keys) : undefined;
}

test("one leader at a time, in the order of their registration, with tokens that grow, and everybody leads once", async () => {
  let elected = 0;
  const { schedules } = await explore("election", { schedules: 60, kept }, async (world) => {
    const byHand = world.random.chance(0.3);
    const terms = await campaigns(world, byHand ? [deletesKey, revokesLease] : []);
    elected += terms;
  });
  expect(elected).toBeGreaterThan(schedules);
});

test("who loses its key together with the one before it does not lead", async () => {
  let elected = 0;
  const { schedules } = await explore("election, line deleted", { schedules: 60 }, async (world) => {
    const terms = await campaigns(world, [deletesLine, deletesLine, deletesKey, revokesLease]);
    elected += terms;
  });
  expect(elected).toBeGreaterThan(schedules);
});
