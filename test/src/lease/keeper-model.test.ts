import { expect, test } from "vitest";
import type { LeaseKeepAliveResponse, Protocol } from "../../../src/connection/index.ts";
import { HeldLease } from "../../../src/lease/held-lease.ts";
import { LeaseKeeper } from "../../../src/lease/lease-keeper.ts";
import { type LeaseId, leaseId } from "../../../src/model/lease-id.ts";
import { MemoryEtcd, MemoryProtocol } from "../../../testing/fake-etcd/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { MemberLink } from "./member-link.ts";

// The keeper of many leases on an etcd in memory that knows which of them live, in virtual time. What real etcds and
// real links do to the same rules stands in the files beside this one.

const LATENCY_MS = 2;
/**
 * What a lease needs after an outage: a dial, a renewal and its answer, and the smallest pause, a third of the time on
 * top.
 */
const ENOUGH_MS = 150;

interface Kept {
  readonly lease: HeldLease;
  /** Its owner gave it up. */
  abandoned: boolean;
}

class Lab {
  readonly clock = new FakeClock();
  readonly etcd = new MemoryEtcd({ clock: this.clock });
  readonly links: readonly MemberLink[];
  readonly keeper: LeaseKeeper;
  readonly kept: Kept[] = [];
  /** What was asked for twice on one stream. */
  readonly askedTwice: LeaseId[] = [];
  renewals = 0;
  readonly #protocol: Protocol;
  readonly #random: Seeded;

  constructor(random: Seeded, members: number) {
    this.#random = random;
    const { clock } = this;
    this.links = Array.from({ length: members }, (_, i) => new MemberLink(clock, `http://member-${i}`, LATENCY_MS));
    this.#protocol = new MemoryProtocol(this.etcd, { clock, endpoints: this.links });
    this.#watchRenewals(this.#protocol);
    this.keeper = new LeaseKeeper(this.#protocol, 2_000, { clock, random: random.next });
  }

  /** At most one renewal of a lease may be unanswered on a stream. */
  #watchRenewals(protocol: Protocol): void {
    const open = protocol.openKeepAlive.bind(protocol);
    protocol.openKeepAlive = async (endpoint, limitMs, handlers, signal) => {
      const unanswered = new Set<LeaseId>();
      const onMessage = (answer: LeaseKeepAliveResponse) => {
        unanswered.delete(answer.id);
        handlers.onMessage(answer);
      };
      const stream = await open(endpoint, limitMs, { onMessage, onEnd: (error) => handlers.onEnd(error) }, signal);
      const renew = (id: LeaseId) => {
        if (unanswered.has(id)) this.askedTwice.push(id);
        unanswered.add(id);
        this.renewals++;
        stream.renew(id);
      };
      return { ...stream, renew };
    };
  }

  grant(ttlSeconds: number, renewEveryMs = (ttlSeconds * 1_000) / 3): Kept {
    const id = leaseId((this.kept.length + 1).toString(16)) as LeaseId;
    const { clock, keeper, etcd } = this;
    const lease = new HeldLease({
      id,
      ttlSeconds,
      renewEveryMs,
      protocol: this.#protocol,
      clock,
      detached: false,
      idIsChosen: false,
      owner: {
        onLapse: () => {},
        onOver: (over) => keeper.forget(over),
        revoke: async () => {},
        onLost: () => {},
      },
    });
    const sentMs = clock.elapsedMs();
    etcd.leaseGrant(id, ttlSeconds);
    lease.deadline.acknowledged(sentMs, ttlSeconds);
    keeper.keep(lease, sentMs + renewEveryMs);
    const entry = { lease, abandoned: false };
    this.kept.push(entry);
    return entry;
  }

  /** By its clock, whether or not it has found out that the time of the lease is over. */
  etcdHas(id: LeaseId): boolean {
    return this.etcd.leaseTimeToLive(id, false).remainingSeconds >= 0;
  }

  get living(): Kept[] {
    return this.kept.filter(({ lease, abandoned }) => !abandoned && !lease.signal.aborted);
  }

  /** No holder believes in a lease that etcd does not have any more. */
  check(): void {
    const seed = `seed ${this.#random.seed}`;
    expect(this.askedTwice, seed).toEqual([]);
    for (const { lease } of this.living) expect(this.etcdHas(lease.id), `${seed}: lease ${lease.id}`).toBe(true);
  }

  async pass(ms: number): Promise<void> {
    await this.clock.pass(ms);
    this.check();
  }
}

test.each(["refused", "silent"] as const)(
  "outages of half a TTL, on one endpoint: what had %s time enough when etcd came back is not lost",
  async (how) => {
    const random = seeded(`outages ${how}`);
    for (let round = 0; round < 12; round++) {
      const lab = new Lab(random, 1);
      const [link] = lab.links;
      if (!link) throw new Error("there is one");
      const ttlSeconds = random.pick([2, 3, 5, 10, 60]);
      for (let i = 0; i < 40; i++) {
        lab.grant(ttlSeconds);
        await lab.pass(random.next() * ttlSeconds * 8);
      }
      await lab.pass(random.next() * ttlSeconds * 1_000);
      expect(lab.living).toHaveLength(40);
      link.set(how);
      await lab.pass(ttlSeconds * 500);
      const inTime = lab.living.filter(({ lease }) => lease.remainingMs() >= ENOUGH_MS);
      link.set("up");
      await lab.pass(ttlSeconds * 1_000);
      const lost = inTime.filter(({ lease }) => lease.signal.aborted).map(({ lease }) => lease.id);
      expect(lost, `seed ${random.seed}, round ${round}, ttl ${ttlSeconds}`).toEqual([]);
      lab.keeper.close();
    }
  },
);

test("whatever links, machine and clocks do, no holder believes in a lease that is gone, and what can be renewed is", async () => {
  const random = seeded("keeper");
  for (let round = 0; round < 6; round++) {
    const lab = new Lab(random, random.between(1, 3));
    const { clock, etcd, links, keeper } = lab;
    for (let step = 0; step < 120; step++) {
      const link = random.pick(links);
      const what = random.between(0, 11);
      if (what < 3 && lab.kept.length < 200)
        for (let i = random.between(1, 10); i > 0; i--) lab.grant(random.pick([2, 5, 9, 30]));
      else if (what === 3) link.set(random.pick(["refused", "silent"] as const));
      else if (what === 4) for (const each of links) each.set("up");
      else if (what === 5) link.latencyMs = random.pick([1, 10, 200]);
      else if (what === 6) clock.suspend(random.next() * 3_000);
      else if (what === 7) clock.step((random.next() - 0.5) * 7_200_000);
      else if (what === 8) clock.stall(random.next() * 2_000);
      else if (what === 9 && lab.living.length > 0) {
        const entry = random.pick(lab.living);
        entry.abandoned = true;
        if (etcd.leaseIds.includes(entry.lease.id)) etcd.leaseRevoke(entry.lease.id);
        entry.lease.abandon();
      }
      // After a sleep or a stall the first look shows it.
      lab.check();
      await lab.pass(random.next() * random.pick([50, 500, 3_000]));
    }
    // Everything is well again: what lives now lives on, and each is renewed when it is due.
    for (const link of links) {
      link.latencyMs = LATENCY_MS;
      link.set("up");
    }
    await lab.pass(2_000);
    const ids = () => lab.living.map(({ lease }) => lease.id);
    const { living } = lab;
    const alive = ids();
    const before = lab.renewals;
    await lab.pass(60_000);
    expect(ids(), `seed ${random.seed}, round ${round}`).toEqual(alive);
    const due = living.reduce((sum, { lease }) => sum + 60_000 / lease.renewEveryMs, 0);
    expect(lab.renewals - before, `seed ${random.seed}`).toBeGreaterThanOrEqual(Math.floor(0.9 * due) - living.length);
    keeper.close();
    for (const id of etcd.leaseIds) etcd.leaseRevoke(id);
    await clock.pass(10_000);
    expect(clock.pendingTimers).toBe(0);
  }
});
