import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { CandidacyLine } from "../../../recipes/candidacy/internal.ts";
import { ElectionLab } from "./election-lab.ts";

let lab: ElectionLab;
beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("a lease that is lost before anybody listens ends its candidacy, and another one begins", async () => {
  let grants = 0;
  const etcd = new Proxy(lab.etcd, {
    get(target, key) {
      if (key === "grantLease") {
        return async (...args: Parameters<typeof target.grantLease>) => {
          const lease = await target.grantLease(...args);
          if (++grants === 1) lease.abandon(new Error("lost at once"));
          return lease;
        };
      }
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const line = new CandidacyLine({ etcd, name: lab.newName(), ttlSeconds: 2, onWarning: () => {} });
  const first = await line.campaign("a", AbortSignal.timeout(10_000));
  expect(grants).toBe(2);
  expect(first.token).toBeGreaterThan(0);
  await line.leave(first);
});
