import { expect, test } from "vitest";
import { Confirmation, type ConfirmationOptions, type ConfirmationResult } from "../../../recipes/index.ts";
import { prefix } from "../../../src/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { type VirtualClient, VirtualLab } from "../../support/virtual-lab.ts";

// Hours in milliseconds: etcd is in memory, and its clock, the client's and the confirmation's are one.

function confirmationOf(lab: VirtualLab, { etcd }: VirtualClient, options: ConfirmationOptions = {}): Confirmation {
  const confirmation = new Confirmation("/confirm/", { client: etcd, ...options });
  lab.also(() => confirmation.close());
  return confirmation;
}

/** A request that runs, and what came of it. */
async function requested(lab: VirtualLab, confirmation: Confirmation, timeoutSeconds: number) {
  const outcome: { result?: ConfirmationResult; error?: unknown } = {};
  confirmation.request("a", { timeoutSeconds }).then(
    (result) => {
      outcome.result = result;
    },
    (error: unknown) => {
      outcome.error = error;
    },
  );
  await lab.pass(0);
  return outcome;
}

test("a request of six hours times out after six hours, and not a second earlier", async () => {
  await using lab = new VirtualLab("six hours");
  const confirmation = confirmationOf(lab, lab.client());
  const outcome = await requested(lab, confirmation, 6 * 3_600);
  await lab.pass(6 * 3_600_000 - 1_000);
  expect(outcome).toEqual({});
  expect(await confirmation.pending()).toHaveLength(1);
  await lab.pass(1_000);
  expect(outcome).toEqual({ result: { decision: "timeout" } });
});

test("a requester that died after 50 minutes is followed by one that waits for the ten that are left", async () => {
  await using lab = new VirtualLab("picked up");
  const first = confirmationOf(lab, lab.client());
  const given = await requested(lab, first, 3_600);
  await lab.pass(3_000_000);
  await first.close();
  await lab.pass(0);
  expect(given.error).toMatchObject({ code: "ETCD_CLOSED" });
  const outcome = await requested(lab, confirmationOf(lab, lab.client()), 3_600);
  await lab.pass(599_000);
  expect(outcome).toEqual({});
  await lab.pass(1_000);
  expect(outcome).toEqual({ result: { decision: "timeout" } });
});

test("a decision that was made while the requester was cut off for ten minutes arrives when it is back", async () => {
  await using lab = new VirtualLab("cut off");
  const client = lab.client();
  const confirmation = confirmationOf(lab, client);
  confirmation.on("warning", () => {});
  const outcome = await requested(lab, confirmation, 7_200);
  client.link.cut();
  await lab.pass(300_000);
  await confirmationOf(lab, lab.client()).approve("a", "alice");
  await lab.pass(300_000);
  expect(outcome).toEqual({});
  client.link.join();
  await lab.pass(5_000);
  expect(outcome).toEqual({ result: { decision: "approved", by: "alice" } });
});

test("no reader until the time-out lease is over: the first one finds a time-out, not a decision", async () => {
  await using lab = new VirtualLab("nobody looks");
  const first = confirmationOf(lab, lab.client());
  await requested(lab, first, 3_600);
  await first.close();
  await lab.pass(3_600_000 * (33 / 32) + 2_000);
  await expect(confirmationOf(lab, lab.client()).approve("a", "late")).rejects.toMatchObject({
    name: "AlreadyDecidedError",
    result: { decision: "timeout" },
  });
});

test("a decision is kept for as long as was said, and then all of it is gone", async () => {
  await using lab = new VirtualLab("retained");
  const confirmation = confirmationOf(lab, lab.client(), { retainSeconds: 86_400 });
  const recorder = new Recorder(confirmation, ["decided"]);
  await requested(lab, confirmation, 3_600);
  await confirmation.reject("a", "bob", "not now");
  await lab.pass(86_400_000 - 1_000);
  expect(await requested(lab, confirmation, 3_600)).toMatchObject({ result: { decision: "rejected", by: "bob" } });
  await lab.pass(86_400_000 * (1 / 32) + 3_000);
  expect(lab.memory.entries(prefix("/confirm/"))).toEqual([]);
  expect(recorder.names).toHaveLength(1);
});
