import { expect, test } from "vitest";
import { RegistrationGroup, ServiceRegister } from "../../../recipes/index.ts";
import { prefix } from "../../../src/index.ts";
import { Link } from "../../../testing/fake-etcd/index.ts";
import { type VirtualClient, VirtualLab } from "../../support/virtual-lab.ts";

// More registrations at once than a client gets through within the time of one call, in virtual time: whatever leaves
// is worked off one after the other, also what is not waited for any more.

const many = 600;
/** So all of them together take longer than a call may. */
const eachMs = 12;
const ttlSeconds = 10;

function slowed(lab: VirtualLab, { link }: VirtualClient): () => number {
  const request = Link.prototype.request;
  let freeAtMs = 0;
  let sent = 0;
  link.request = (arrive, lose) => {
    sent++;
    freeAtMs = Math.max(freeAtMs, lab.nowMs) + eachMs;
    lab.clock.timer(freeAtMs - lab.nowMs, () => request.call(link, arrive, lose));
  };
  return () => sent;
}

/** Lets time pass until all are registered. In each second some come, and none goes. */
async function comeSteadily(lab: VirtualLab, all: readonly ServiceRegister[], quietSeconds: number): Promise<void> {
  let before = 0;
  let quiet = 0;
  for (let seconds = 0; before < all.length; seconds++) {
    await lab.pass(1_000);
    const now = all.filter(({ status }) => status === "registered").length;
    expect(now).toBeGreaterThanOrEqual(before);
    quiet = now > before ? 0 : quiet + 1;
    expect(quiet, `${now} of ${all.length} after ${seconds} s`).toBeLessThanOrEqual(quietSeconds);
    before = now;
  }
}

test("a flood of own leases comes in steadily, each asked for once, and comes back so from an outage longer than its TTL", async () => {
  await using lab = new VirtualLab("flood");
  const client = lab.client();
  const sent = slowed(lab, client);
  const warnings: string[] = [];
  let losses = 0;
  const all = Array.from({ length: many }, (_, index) => {
    const register = new ServiceRegister(`/svc/m${index}`, "10.0.0.1:80", ttlSeconds, { client: client.etcd });
    register.on("warning", ({ message }) => warnings.push(message));
    register.on("lost", () => losses++);
    return register;
  });
  await lab.pass(10);
  // What a user asks for is not behind them.
  const askedMs = lab.nowMs;
  await lab.until(client.etcd.put("/user", "there"));
  expect(lab.nowMs - askedMs).toBeLessThan(1_500);
  await comeSteadily(lab, all, 1);
  expect(lab.memory.entries(prefix("/svc/"))).toHaveLength(many);
  expect(lab.memory.leaseIds).toHaveLength(many);
  expect(sent()).toBeLessThan(3 * many);
  expect(warnings).toEqual([expect.stringContaining('lease: "shared"')]);
  expect(losses).toBe(0);

  client.link.cut();
  await lab.pass(30_000);
  expect(lab.memory.entries(prefix("/svc/"))).toEqual([]);
  expect(all.map(({ status }) => status).filter((status) => status !== "recovering")).toEqual([]);
  const sentBefore = sent();
  client.link.join();
  await comeSteadily(lab, all, 10);
  expect(losses).toBe(many);
  expect(lab.memory.entries(prefix("/svc/"))).toHaveLength(many);
  expect(sent() - sentBefore).toBeLessThan(5 * many);
  void Promise.all(all.map((register) => register.close()));
});

test("one lease for all is asked for by none twice, and no hint is given of it", async () => {
  await using lab = new VirtualLab("group");
  const client = lab.client();
  slowed(lab, client);
  const warnings: string[] = [];
  const group = new RegistrationGroup("/svc/", ttlSeconds, { client: client.etcd });
  group.on("warning", ({ message }) => warnings.push(message));
  for (let index = 0; index < many; index++) group.register(`m${index}`, "10.0.0.1:80");
  const shared = Array.from({ length: 600 }, (_, index) => {
    const key = `/shared/m${index}`;
    const register = new ServiceRegister(key, "10.0.0.1:80", ttlSeconds, { client: client.etcd, lease: "shared" });
    register.on("warning", ({ message }) => warnings.push(message));
    return register;
  });
  await lab.until(Promise.all([group.ready, ...shared.map(({ ready }) => ready)]));
  expect(warnings).toEqual([]);
  expect(lab.memory.leaseIds).toHaveLength(2);
  await lab.until(Promise.all([group.close(), ...shared.map((register) => register.close())]));
});

const longTtlSeconds = 60;
/** What etcd is given when one leaves. */
const closeLimitMs = 5_000;

/** A crowd with a lease each, or with one for all, and what they warn of. */
async function crowd(lab: VirtualLab, { etcd: client }: VirtualClient, lease: "own" | "shared") {
  const warnings: string[] = [];
  // One that stays, so that a lease for all stays, too.
  const stays = new ServiceRegister("/stays", "10.0.0.1:80", longTtlSeconds, { client, lease });
  const all = Array.from({ length: many }, (_, index) => {
    const register = new ServiceRegister(`/svc/m${index}`, "10.0.0.1:80", longTtlSeconds, { client, lease });
    register.on("warning", ({ message }) => warnings.push(message));
    return register;
  });
  await lab.until(Promise.all([stays, ...all].map(({ ready }) => ready)));
  warnings.length = 0;
  return { warnings, close: () => Promise.all(all.map((register) => register.close())) };
}

test.each(["own", "shared"] as const)(
  "a crowd that leaves together, each with %s lease, leaves whole, however long it takes",
  async (lease) => {
    await using lab = new VirtualLab(`leaving ${lease}`);
    const client = lab.client();
    const { warnings, close } = await crowd(lab, client, lease);
    slowed(lab, client);
    expect(await lab.until(close())).toBeGreaterThan(closeLimitMs);
    expect(lab.memory.entries(prefix("/svc/"))).toEqual([]);
    expect(warnings).toEqual([]);
  },
);

test("a crowd leaves in twice the time of one when etcd is away, and its leases are revoked when it is back", async () => {
  await using lab = new VirtualLab("leaving in vain");
  const client = lab.client();
  const { warnings, close } = await crowd(lab, client, "own");
  client.link.cut();
  // Those whose turn came have their time from then on.
  expect(await lab.until(close())).toBeLessThanOrEqual(2 * closeLimitMs);
  expect(new Set(warnings.map((message) => /^leaving (\/svc\/m\d+)(: | took )/.exec(message)?.[1])).size).toBe(many);
  expect(warnings).toHaveLength(many);
  client.link.join();
  await lab.pass(20_000);
  expect(lab.memory.entries(prefix("/svc/"))).toEqual([]);
});
