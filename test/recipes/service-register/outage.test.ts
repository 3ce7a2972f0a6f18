import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { historyOf, revisionOf, viewOf } from "../../support/etcd-view.ts";
import { leasesOf } from "../../support/gateway/index.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// The other tests keep two cores busy: what is lost here must be lost by the outage.
const ttl = 3;

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("after an outage of 3×TTL the exact keys stand there, with the newest values, and what was closed never does", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const registers = Array.from({ length: 6 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, ttl, { client }),
  );
  const recorders = registers.map((register) => new Recorder(register, registerEvents));
  await Promise.all(registers.map(({ ready }) => ready));
  for (const recorder of recorders) recorder.clear();

  await lab.cluster.kill();
  const downAt = performance.now();
  await until(() => registers.every(({ status }) => status === "recovering"), {
    message: () => registers.map(({ status }) => status).join(),
  });
  const [, one, two, three] = registers;
  const updates = [
    one?.update({ address: "10.0.1.1:80" }),
    two?.update({ address: "10.0.9.9:80" }),
    two?.update({ address: "10.0.1.2:80" }),
  ];
  const closingAt = performance.now();
  await three?.close({ drainMs: 1 });
  expect(performance.now() - closingAt).toBeLessThan(ttl * 1_000 + 500);
  expect(three?.status).toBe("closed");
  const closing = registers[4]?.close();
  const abort = new AbortController();
  const given = expect(registers[5]?.update({ address: "10.0.1.5:80" }, { signal: abort.signal })).rejects.toBe(
    "enough",
  );
  abort.abort("enough");
  await given;
  await closing;
  await until(() => performance.now() - downAt >= 3 * ttl * 1_000, { timeoutMs: 3 * ttl * 1_000 + 1_000 });

  await lab.cluster.restart();
  const healedAt = await revisionOf(lab.etcd);
  await Promise.all(updates);
  const wanted = { m0: "10.0.0.0:80", m1: "10.0.1.1:80", m2: "10.0.1.2:80", m5: "10.0.1.5:80" };
  await until(
    async () => {
      expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
      return true;
    },
    { timeoutMs: 20_000 },
  );
  const open = registers.filter((_, index) => index !== 3 && index !== 4);
  await until(() => open.every(({ status }) => status === "registered"));
  // The leases of before the outage are gone too: what stood on them cannot come back.
  await until(async () => (await leasesOf(lab.endpoint)).length === 4, { message: "only living leases are left" });
  expect(await viewOf(lab.etcd, prefix)).toEqual(wanted);
  const history = await historyOf(lab.etcd, prefix, healedAt + 1);
  const putKeys = history.filter(({ type }) => type === "put").map(({ kv }) => kv.key.slice(prefix.length));
  expect(putKeys).not.toContain("m3");
  expect(putKeys).not.toContain("m4");
  const received = recorders[0]?.events
    .filter(({ name }) => name !== "warning")
    .map(({ name, args }) => (name === "lost" ? `lost: ${args[0]}` : name));
  expect(received).toEqual(["status", expect.stringMatching(/^lost: /), "status", "registered"]);
});

test("what was never registered before the outage registers after it", async () => {
  const prefix = lab.newPrefix();
  await lab.cluster.kill();
  const client = lab.client();
  const early = lab.register(`${prefix}early`, "10.0.0.1:80", ttl, { client });
  const closed = lab.register(`${prefix}closed`, "10.0.0.2:80", ttl, { client });
  const warned = new Recorder(early, ["warning"]);
  await until(() => warned.events.length > 0);
  expect(early.status).toBe("registering");
  expect(early.lastError?.message).toContain(lab.endpoint);
  expect(warned.of<{ code: string }>("warning")[0]?.code).toBe("ETCD_UNAVAILABLE");
  const began = performance.now();
  await closed.close();
  expect(performance.now() - began).toBeLessThan(500);
  await expect(closed.ready).rejects.toMatchObject({ code: "ETCD_CLOSED" });
  await lab.cluster.restart();
  await early.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ early: "10.0.0.1:80" });
});

test("a short outage loses nothing: the same lease, no loss reported", async () => {
  const prefix = lab.newPrefix();
  const register = lab.register(`${prefix}m1`, "10.0.0.1:80", 30, { client: lab.client() });
  await register.ready;
  const recorder = new Recorder(register, ["lost", "registered", "status"]);
  const before = await lab.etcd.get(`${prefix}m1`);
  await lab.cluster.kill();
  await lab.cluster.restart();
  await register.update({ address: "10.0.0.2:80" });
  expect((await lab.etcd.get(`${prefix}m1`))?.lease).toBe(before?.lease);
  expect(recorder.names).toEqual([]);
});

test("a key that outlived the outage on a lease given up meanwhile is still its own: no conflict with itself", async () => {
  const prefix = lab.newPrefix();
  const client = lab.client();
  const registers = Array.from({ length: 30 }, (_, index) =>
    lab.register(`${prefix}m${index}`, `10.0.0.${index}:80`, 5, { client, onConflict: "error" }),
  );
  await Promise.all(registers.map(({ ready }) => ready));
  const recorders = registers.map((register) => new Recorder(register, registerEvents));
  await lab.cluster.kill();
  await until(() => registers.every(({ status }) => status === "recovering"));
  // A restarted etcd gives every lease its whole TTL again.
  await lab.cluster.restart();
  await until(() => registers.every(({ status }) => status === "registered"), { timeoutMs: 20_000 });
  for (const recorder of recorders) expect(recorder.of("status")).toEqual(["recovering", "registered"]);
});
