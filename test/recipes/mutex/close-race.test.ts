import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Contest } from "../../../recipes/candidacy/index.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

let lab: ElectionLab;
beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test.each([0, 1, 2, 3, 4, 5, 6, 7])(
  "close() %i ticks after a lock was got leaves no key and no lock behind",
  async (ticks) => {
    const name = lab.newName();
    const mutex = lab.mutex(name, { ttlSeconds: 5 });
    const campaign = Contest.prototype.campaign;
    let closing: Promise<void> | undefined;
    const spy = vi.spyOn(Contest.prototype, "campaign").mockImplementation(async function (this: Contest, ...args) {
      const first = await campaign.apply(this, args);
      void (async () => {
        for (let tick = 0; tick < ticks; tick++) await null;
        closing = mutex.close();
      })();
      return first;
    });
    try {
      const got = await mutex.acquire().catch(() => undefined);
      await until(() => closing !== undefined);
      await closing;
      expect(got?.signal.aborted ?? true).toBe(true);
      expect(await lab.line(name)).toEqual([]);
    } finally {
      spy.mockRestore();
    }
  },
);
