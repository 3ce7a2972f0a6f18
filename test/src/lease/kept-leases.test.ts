import { expect, test } from "vitest";
import type { HeldLease } from "../../../src/lease/held-lease.ts";
import { KeptLeases } from "../../../src/lease/kept-leases.ts";
import { LeaseDeadline } from "../../../src/lease/lease-deadline.ts";
import type { LeaseId } from "../../../src/model/lease-id.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { seeded } from "../../support/seeded.ts";

const ttlSeconds = 10;
/** An eighth of the longest interval, as a power of two: so much earlier than asked for a renewal may be due. */
const stepMs = 256;

test("who is due and who ends first is what a look at all of them says, whatever is renewed, put off and forgotten", () => {
  const random = seeded("kept leases");
  for (let round = 0; round < 30; round++) {
    const clock = new FakeClock();
    const kept = new KeptLeases();
    /** When each has to be looked at. */
    const lookAt = new Map<HeldLease, { readonly least: number; readonly most: number }>();
    const renewal = (atMs: number) => ({ least: atMs - stepMs, most: atMs });
    for (let step = 0; step < 200; step++) {
      const now = clock.elapsedMs();
      const what = random.between(0, 5);
      const seed = `seed ${random.seed}, round ${round}, step ${step}`;
      const lease = lookAt.size > 0 ? random.pick([...lookAt.keys()]) : undefined;
      if (what === 0 || !lease) {
        const added = newLease(clock, step, random.pick([1_000, 2_000, 3_333]));
        kept.add(added, now + added.renewEveryMs);
        lookAt.set(added, renewal(now + added.renewEveryMs));
      } else if (what === 1) {
        lease.deadline.acknowledged(now, ttlSeconds);
        kept.renewed(lease, now);
        lookAt.set(lease, renewal(now + lease.renewEveryMs));
      } else if (what === 2) {
        const atMs = now + random.between(0, 500);
        kept.lookAgainAt(lease, atMs);
        lookAt.set(lease, { least: atMs, most: atMs });
      } else if (what === 3) {
        expect([kept.delete(lease), kept.delete(lease)], seed).toEqual([true, false]);
        lookAt.delete(lease);
      } else {
        clock.advance(random.between(0, 700));
      }
      compare(kept, lookAt, clock.elapsedMs(), seed);
    }
  }
});

function compare(
  kept: KeptLeases,
  lookAt: ReadonlyMap<HeldLease, { readonly least: number; readonly most: number }>,
  now: number,
  seed: string,
): void {
  const bounds = [...lookAt.values()];
  expect(kept.size, seed).toBe(lookAt.size);
  expect(kept.nextMs, seed).toBeGreaterThanOrEqual(Math.min(...bounds.map(({ least }) => least)));
  expect(kept.nextMs, seed).toBeLessThanOrEqual(Math.min(...bounds.map(({ most }) => most)));
  const due = kept.dueBy(now);
  expect(due === undefined, seed).toBe(kept.nextMs > now);
  if (due) expect(lookAt.get(due)?.least, seed).toBeLessThanOrEqual(now);
  const firstEndMs = Math.min(...[...lookAt.keys()].map(({ deadline }) => deadline.atMs));
  expect(kept.noEndBeforeMs, seed).toBeLessThanOrEqual(firstEndMs);
  expect(kept.endedBy(now)?.deadline.atMs, seed).toBe(firstEndMs <= now ? firstEndMs : undefined);
  expect(kept.firstEndMs, seed).toBe(firstEndMs);
}

function newLease(clock: FakeClock, id: number, renewEveryMs: number): HeldLease {
  const deadline = new LeaseDeadline(clock);
  deadline.acknowledged(clock.elapsedMs(), ttlSeconds);
  return { id: id.toString(16) as LeaseId, ttlSeconds, renewEveryMs, deadline } as HeldLease;
}
