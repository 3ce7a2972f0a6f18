import { expect, test, vi } from "vitest";
import { EtcdStartError, startEtcd } from "../../testing/index.ts";
import { Keeper } from "../../testing/keeper.ts";
import { outcomeOf } from "../support/outcome.ts";

/** What startEtcd rejects with, and nothing else comes of it, also when its keeper has ended. */
async function refusal(options: unknown): Promise<unknown> {
  const unseen = vi.fn();
  process.on("unhandledRejection", unseen);
  try {
    const { error } = await outcomeOf(startEtcd(options as never));
    // Of a cluster that is closed the keeper has ended; this one hears of it later than that one.
    await using later = await startEtcd();
    await later.close();
    expect(unseen).not.toHaveBeenCalled();
    return error;
  } finally {
    process.off("unhandledRejection", unseen);
  }
}

// Linux takes 128 kB for one variable, and some megabytes for all of them.
const huge = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`V${index}`, "x".repeat(100_000)]));

test.each([
  ["one variable too large for the system", { env: { V: "x".repeat(3_000_000) } }, "E2BIG"],
  ["variables too large together, for three members", { env: huge, members: 3 }, "E2BIG"],
  ["flags too large together", { flags: new Array(100_000).fill(`--name=${"x".repeat(100)}`) }, "E2BIG"],
])("%s is an EtcdStartError", async (_what, options, reason) => {
  const error = await refusal(options);
  expect(error).toBeInstanceOf(EtcdStartError);
  expect(error).toMatchObject({ code: "ETCD_START_FAILED", message: expect.stringContaining(reason) });
});

test("a keeper that cannot be started is one, too", async () => {
  const { error } = await outcomeOf(Keeper.start({ peerPorts: [] }, { V: "x".repeat(3_000_000) }, () => {}));
  expect(error).toBeInstanceOf(EtcdStartError);
  expect(error).toMatchObject({ message: expect.stringContaining("E2BIG") });
});
