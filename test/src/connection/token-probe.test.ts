import { afterEach, expect, test } from "vitest";
import { TokenProbe } from "../../../src/connection/auth/token-probe.ts";
import type { Endpoint } from "../../../src/connection/endpoints/endpoint.ts";
import type { EndpointChannel } from "../../../src/connection/endpoints/endpoint-channel.ts";

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => void unhandled.push(error);
process.on("unhandledRejection", onUnhandled);
afterEach(() => void process.off("unhandledRejection", onUnhandled));

test("a member that does not answer ends no process, also when the call that asked was given up", async () => {
  const away = new Error("away");
  const probe = new TokenProbe(() => Promise.reject(away));
  const token = { value: "abc.5", madeMs: 1 };
  const fits = probe.fits(token, {} as Endpoint, { sinceMs: 2 } as EndpointChannel);
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
  await expect(fits).rejects.toBe(away);
});
