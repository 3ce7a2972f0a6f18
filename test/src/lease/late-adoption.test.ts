import { expect, test } from "vitest";
import { VirtualLab } from "../../support/virtual-lab.ts";

// A lease is adopted while etcd is out of reach for longer than the lease has. Its holder goes on renewing it.

const TTL_SECONDS = 10;
const OUTAGE_MS = 2 * TTL_SECONDS * 1_000;

test.each([true, false])(
  "what is adopted after a long outage has the time that etcd then gives it: keepAlive %s",
  async (keepAlive) => {
    await using lab = new VirtualLab(`late adoption ${keepAlive}`);
    const holder = await lab.client().etcd.grantLease(TTL_SECONDS);
    const { etcd, link } = lab.client();
    link.cut();
    const adopting = etcd.adoptLease(holder.id, { keepAlive, timeoutMs: 3 * OUTAGE_MS });
    await lab.pass(OUTAGE_MS);
    link.join();
    await lab.until(adopting);
    const lease = await adopting;
    expect(lease.signal.aborted).toBe(false);
    expect(lease.remainingMs()).toBeGreaterThan(TTL_SECONDS * 500);
    // Not longer than etcd has it.
    const { remainingSeconds } = await lease.timeToLive();
    expect(lease.remainingMs()).toBeLessThanOrEqual((remainingSeconds + 1) * 1_000);
  },
);
