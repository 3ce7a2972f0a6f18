import { expect, test } from "vitest";
import { Cancellation } from "../../../recipes/index.ts";
import { prefix } from "../../../src/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

function cancellationOf(lab: VirtualLab) {
  const { etcd, link } = lab.client();
  const cancellation = new Cancellation("/cancel/", { client: etcd, ttlSeconds: 3_600 });
  lab.also(() => cancellation.close());
  cancellation.on("warning", () => {});
  return { cancellation, link };
}

test("a run that is cancelled during a long outage is cancelled here when that is over", async () => {
  await using lab = new VirtualLab("outage");
  const { cancellation, link } = cancellationOf(lab);
  const signal = cancellation.signal("run-1");
  await lab.until(cancellation.ready);
  link.cut();
  await cancellationOf(lab).cancellation.cancel("run-1", "superseded");
  await lab.pass(1_800_000);
  expect(signal.aborted).toBe(false);
  link.join();
  await lab.pass(5_000);
  expect(signal.reason).toMatchObject({ name: "CancelledError", reason: "superseded" });
});

test("an entry is kept for its hour, and then gone", async () => {
  await using lab = new VirtualLab("an hour");
  const { cancellation } = cancellationOf(lab);
  await cancellation.cancel("run-1");
  await lab.pass(3_600_000);
  expect(lab.memory.entries(prefix("/cancel/"))).toHaveLength(1);
  await lab.pass(3_600_000 / 32 + 2_000);
  expect(lab.memory.entries(prefix("/cancel/"))).toEqual([]);
});

test("a call whose time was over while it waited for an earlier one of the run has sent nothing, and says so", async () => {
  await using lab = new VirtualLab("turns");
  const { cancellation, link } = cancellationOf(lab);
  await lab.until(cancellation.cancel("run-0"));
  link.cut();
  const first = cancellation.cancel("run-1", "first", { timeoutMs: 60_000 });
  const second = cancellation.cancel("run-1", "second", { timeoutMs: 1_000 });
  const third = cancellation.cancel("run-1", "third", { signal: AbortSignal.abort("no more"), timeoutMs: 1_000 });
  await expect(third).rejects.toBe("no more");
  second.catch(() => {});
  expect(await lab.until(second)).toBe(1_000);
  await expect(second).rejects.toMatchObject({ code: "ETCD_TIMEOUT", outcomeUnknown: false, retryable: true });
  link.join();
  await lab.until(first);
  expect(await first).toBe(true);
  expect(lab.memory.entries(prefix("/cancel/run-1")).map(({ text }) => text)).toEqual(["first"]);
});
