import { expect, test } from "vitest";
import { QueueKeys } from "../../../recipes/queue/queue-keys.ts";
import { WaitingPlace } from "../../../recipes/queue/waiting-place.ts";
import type { WorkerPort } from "../../../recipes/queue/worker-port.ts";
import { putOp, type TxnAnswer, type TxnOptions } from "../../../src/index.ts";
import { type Deferred, quietDeferred } from "../../../src/internal/index.ts";
import { settled } from "../../support/fake-clock.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

test("an answer that comes when there is a new lease says nothing of the place on that one", async () => {
  await using lab = new VirtualLab("waiting place");
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
  const place = new WaitingPlace(port);
  for (const lease of leases) place.take(lease);
  sent[0]?.answer.resolve({ succeeded: true, revision: 5, responses: [] } as unknown as TxnAnswer);
  await settled();
  const put = leases.map((lease) => [putOp(`/q/waiting/${lease.id}`, "", { lease })]);
  expect(sent.map(({ request }) => request.success)).toEqual(put);
});
