import { expect, test } from "vitest";
import { Maintenance } from "../../../src/admin/index.ts";
import { UnavailableError } from "../../../src/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

test.each([
  { taken: 0, outcomeUnknown: false },
  { taken: 1, outcomeUnknown: true },
])(
  "after $taken of the alarms were taken back, a failure that did nothing says so",
  async ({ taken, outcomeUnknown }) => {
    let calls = 0;
    const admin = {
      alarms: async () => [1, 2].map((memberId) => ({ memberId: String(memberId), alarm: "nospace" })),
      disarm: async () => {
        if (calls++ === taken) throw new UnavailableError("away", { retryable: true, outcomeUnknown: false });
      },
    };
    const clock = new FakeClock();
    const protocol = { admin, endpoints: [], requestTimeoutMs: 1_000, unreached: undefined };
    const maintenance = new Maintenance({ protocol, runtime: { clock }, checkOpen: () => {} } as never);
    expect(await etcdErrorOf(maintenance.disarm())).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown });
  },
);
