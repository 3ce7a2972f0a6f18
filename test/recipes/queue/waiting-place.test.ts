import { expect, test } from "vitest";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { WaitingPlace } from "../../../recipes/queue/waiting-place.ts";
import type { WorkerPort } from "../../../recipes/queue/worker-port.ts";
import { deleteOp, type Lease, putOp, type TxnAnswer, type TxnOptions } from "../../../src/index.ts";
import { type Deferred, quietDeferred } from "../../../src/internal/index.ts";
import { settled } from "../../support/fake-clock.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

/** A place whose txns the test answers, and leases for it. */
async function placeLab(lab: VirtualLab) {
  const { clock } = lab;
  const { etcd } = lab.client();
  const granting = Promise.all([1, 2].map(() => etcd.grantLease(60, { keepAlive: false })));
  await lab.until(granting);
  const leases = await granting;
  const sent: { readonly request: TxnOptions; readonly answer: Deferred<TxnAnswer> }[] = [];
  const txn = (request: TxnOptions) => {
    const answer = quietDeferred<TxnAnswer>();
    sent.push({ request, answer });
    return answer.promise;
  };
  const port = {
    keys: new QueueKeys("/q"),
    clock,
    maxAttempts: 1,
    writes: () => ({ etcd: { txn }, runtime: { clock, random: () => 0.5 }, leftMs: () => 10_000 }),
    onNews: () => {},
  } as unknown as WorkerPort;
  const answer = async (revision: number) => {
    sent.at(-1)?.answer.resolve({ succeeded: true, revision, responses: [] } as unknown as TxnAnswer);
    await settled();
  };
  return { place: new WaitingPlace(port), leases: leases as [Lease, Lease], sent, answer };
}

test("an answer that comes when there is a new lease says nothing of the place on that one", async () => {
  await using lab = new VirtualLab("waiting place");
  const { place, leases, sent, answer } = await placeLab(lab);
  place.take(leases[0]);
  const first = sent.length;
  place.take(leases[1]);
  expect(sent).toHaveLength(first);
  await answer(5);
  const put = leases.map((lease) => [putOp(`/q/waiting/${lease.id}`, "", { lease })]);
  expect(sent.map(({ request }) => request.success)).toEqual(put);
});

test("after a restore the place is written once, whatever the revisions were before", async () => {
  await using lab = new VirtualLab("waiting place");
  const { place, leases, sent, answer } = await placeLab(lab);
  const [lease] = leases;
  const take = [putOp(`/q/waiting/${lease.id}`, "", { lease })];
  const leave = [deleteOp(`/q/waiting/${lease.id}`)];
  place.take(lease);
  await answer(1_000);
  place.leftAt(2_000);
  expect(place.isTaken).toBe(false);
  // The lease is in the backup, too.
  place.take(lease);
  await answer(10);
  expect(place.isTaken).toBe(true);
  place.leave();
  await answer(11);
  expect(place.isTaken).toBe(false);
  place.take(lease);
  await answer(12);
  // And again, to one that is older still.
  place.leave();
  await answer(3);
  expect(place.isTaken).toBe(false);
  expect(sent.map(({ request }) => request.success)).toEqual([take, take, leave, take, leave]);
});
