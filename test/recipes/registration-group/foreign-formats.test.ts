import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { PrefixFollower } from "../../../recipes/follow/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";
import { groupEvents, groupOf } from "./group-lab.ts";

const kratos = JSON.stringify({ id: "k1", name: "orders", endpoints: ["grpc://10.0.0.9:90"] });

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("values of another format beside its instances are one warning of a group, also for one that comes later", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}orders/k1`, kratos);
  const group = groupOf(lab, prefix, 5);
  const recorder = new Recorder(group, groupEvents);
  for (const id of ["orders/m1", "orders/m2", "alone/m1"]) group.register(id, "10.0.0.1:80");
  await group.ready;
  await group.register("orders/m3", "10.0.0.3:80").ready;
  const warnings = recorder.of<Error>("warning");
  expect(warnings).toMatchObject([{ code: "ETCD_CONFLICT" }]);
  expect(warnings[0]?.message).toBe(
    `${prefix}orders/ holds values that are not in the format plain, such as that of ${prefix}orders/k1: a reader of either format may lose its whole list`,
  );
  const ignoring = groupOf(lab, prefix, 5, { foreignFormats: "ignore" });
  const heard = new Recorder(ignoring, groupEvents);
  await ignoring.register("orders/m4", "10.0.0.4:80").ready;
  expect(heard.of("warning")).toEqual([]);
});

test("an instance that may not stand beside another format fails alone, before it is registered", async () => {
  const prefix = lab.newPrefix();
  for (const id of ["orders/p1", "beside/p1"]) await lab.etcd.put(prefix + id, "10.0.0.9:80");
  const group = groupOf(lab, prefix, 5, { foreignFormats: "error" });
  const recorder = new Recorder(group, groupEvents);
  const beside = group.register("orders/m1", "grpc://10.0.0.1:90", { format: "kratos" });
  const fits = group.register("orders/m2", "10.0.0.2:80", { format: "plain" });
  const alone = group.register("alone/m1", "grpc://10.0.0.1:90", { format: "kratos" });
  await expect(beside.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  await Promise.all([fits.ready, alone.ready]);
  // What stands under its own key is replaced.
  await group.register("beside/p1", "grpc://10.0.0.1:90", { format: "kratos" }).ready;
  // An instance of the same group counts, too.
  const besideMate = group.register("alone/m2", "10.0.0.2:80", { format: "plain" });
  await expect(besideMate.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(recorder.of("memberFailed")).toEqual([beside, besideMate]);
  expect(Object.keys(await viewOf(lab.etcd, prefix)).sort()).toEqual([
    "alone/m1",
    "beside/p1",
    "orders/m2",
    "orders/p1",
  ]);
});

test("an instance that waits for what stands beside it leaves at once, and its successor waits on", async () => {
  const prefix = lab.newPrefix();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  await proxy.down();
  const client = lab.client({ endpoints: [proxy.endpoint] });
  const group = groupOf(lab, prefix, 5, { client, foreignFormats: "error" });
  const first = group.register("m1", "10.0.0.1:80");
  await first.close();
  const second = group.register("m1", "10.0.0.2:80");
  await proxy.up();
  await second.ready;
  expect(await viewOf(lab.etcd, prefix)).toEqual({ m1: "10.0.0.2:80" });
  expect(first.status).toBe("closed");
});

test("what was acknowledged before an instance is registered counts, however far the group's mirror is", async () => {
  const prefix = lab.newPrefix();
  const group = groupOf(lab, prefix, 5, { foreignFormats: "error", client: lab.client() });
  await group.register("m1", "10.0.0.1:80").ready;
  for (let round = 0; round < 50; round++) {
    await lab.etcd.put(`${prefix}${round}/p1`, "10.0.0.9:80");
    const beside = group.register(`${round}/m1`, "grpc://10.0.0.1:90", { format: "kratos" });
    await expect(beside.ready, `round ${round}`).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  }
});

test.each(["warn", "error"] as const)(
  "%s: a look at the folder of an instance does not go through what stands in others",
  async (foreignFormats) => {
    const prefix = lab.newPrefix();
    const group = groupOf(lab, prefix, 5, { foreignFormats });
    let visited = 0;
    const { entries } = PrefixFollower.prototype;
    const read = vi.spyOn(PrefixFollower.prototype, "entries").mockImplementation(function (this: PrefixFollower) {
      const all = [...entries.call(this)];
      visited += all.length;
      return all;
    });
    try {
      await group.register("first/m1", "10.0.0.1:80").ready;
      // From its first list on the group looks at each at once.
      await until(() => read.mock.calls.length > 0);
      for (let index = 0; index < 60; index++) await group.register(`${index}/m1`, "10.0.0.1:80").ready;
      expect(visited).toBeLessThan(60);
    } finally {
      read.mockRestore();
    }
  },
);
