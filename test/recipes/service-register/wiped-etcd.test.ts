import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { revisionOf, viewOf } from "../../support/etcd-view.ts";
import { Recorder } from "../../support/recorder.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Puts other keys until etcd is at `revision`. */
async function raiseRevision(revision: number): Promise<void> {
  while ((await revisionOf(lab.etcd)) < revision) await lab.etcd.put("/other", "x");
}

for (const [how, before, after] of [
  ["below", 60, 0],
  ["above", 0, 120],
] as const) {
  test(`etcd wiped, its new revision ${how} the old: registered again, and the subscriber's list is true`, async () => {
    const prefix = lab.newPrefix();
    await raiseRevision(before);
    const registers = ["m1", "m2"].map((id, index) =>
      lab.register(`${prefix}${id}`, `10.0.0.${index + 1}:80`, 5, { client: lab.client() }),
    );
    await Promise.all(registers.map(({ ready }) => ready));
    await lab.etcd.put(`${prefix}static`, "10.0.0.9:80");
    const services = lab.subscribe(prefix, { client: lab.client() });
    await services.ready;
    expect(addressesOf(services.list())).toEqual(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:80"]);
    const oldRevision = services.revision;
    const recorder = new Recorder(services, ["put", "delete", "change"]);

    await lab.cluster.wipe();
    // Races with the clients' return: they may come before or after it.
    await raiseRevision(after);
    if (after > 0) expect(await revisionOf(lab.etcd)).toBeGreaterThan(oldRevision);
    else expect(await revisionOf(lab.etcd)).toBeLessThan(oldRevision);

    await until(async () => Object.keys(await viewOf(lab.etcd, prefix)).length === 2, { timeoutMs: 20_000 });
    await until(() => addressesOf(services.list()).join() === "10.0.0.1:80,10.0.0.2:80", {
      timeoutMs: 20_000,
      message: () => `${services.status}: ${addressesOf(services.list())}`,
    });
    await until(() => registers.every(({ status }) => status === "registered"));
    expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.1:80", m2: "10.0.0.2:80" });
    await until(async () => {
      for (const { key, modRevision } of services.list())
        expect((await lab.etcd.get(key))?.modRevision).toBe(modRevision);
      return true;
    });
    // The events lead to the list, step by step; what went for ever was reported once.
    const received = new Map(["m1", "m2", "static"].map((id) => [id, 1]));
    for (const { name, args } of recorder.events) {
      const { id } = args[0] as ServiceInstance;
      if (name === "put" && args[1] === undefined) received.set(id, (received.get(id) ?? 0) + 1);
      if (name === "delete") received.set(id, (received.get(id) ?? 0) - 1);
      if (name !== "change") expect([0, 1]).toContain(received.get(id));
    }
    expect(Object.fromEntries(received)).toEqual({ m1: 1, m2: 1, static: 0 });
    expect(recorder.of<ServiceInstance>("delete").filter(({ id }) => id === "static")).toHaveLength(1);
    // And both go on.
    await registers[0]?.update({ address: "10.0.0.7:80" });
    await until(() => addressesOf(services.list()).join() === "10.0.0.7:80,10.0.0.2:80");
  });
}
