import { expect, test } from "vitest";
import { Queue } from "../../../recipes/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

test("a client that is closed under a job in hand ends the queue by failed: no lease is reported lost", async () => {
  await using lab = new VirtualLab("closed client");
  const { etcd } = lab.client();
  const queue = new Queue("/q", { client: etcd });
  lab.also(() => queue.close());
  const received: string[] = [];
  queue.on("warning", ({ message }) => received.push(`warning ${message}`));
  queue.on("failed", ({ message }) => received.push(`failed ${message}`));
  const dequeued = queue.dequeue();
  await lab.until(queue.enqueue("v"));
  await lab.until(dequeued);
  const job = await dequeued;
  await lab.until(etcd.close());
  expect(received).toEqual([expect.stringContaining("failed")]);
  expect(job.signal.reason).toMatchObject({ message: expect.stringContaining("the queue failed") });
});

test("an enqueue whose answer was lost, and whose client is closed then, may have been done, and its error says so", async () => {
  await using lab = new VirtualLab("closed client, lost answer");
  const { etcd, link } = lab.client();
  const queue = new Queue("/q", { client: etcd });
  lab.also(() => queue.close());
  await lab.until(queue.enqueue("first"));
  link.latencyMs = 20;
  const adding = etcdErrorOf(queue.enqueue("v"));
  await lab.pass(15);
  // Etcd has the job, and the answer does not arrive.
  link.cut();
  await lab.until(etcd.close());
  await lab.until(adding);
  expect(await adding).toMatchObject({ code: "ETCD_CLOSED", outcomeUnknown: true });
});
