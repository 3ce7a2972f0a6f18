import { once } from "node:events";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { RegistrationFormat } from "../../../recipes/index.ts";
import type { LeaseId } from "../../../src/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

test("what go-zero, kratos, Go's naming/endpoints and we wrote stands in one list, and a bad one is reported and kept out", async () => {
  const prefix = lab.newPrefix();
  const lease = await lab.etcd.grantLease(10);
  lab.also(() => lease.revoke());
  const decimalLease = BigInt(`0x${lease.id}`).toString();
  await lab.etcd.put(prefix + decimalLease, "10.0.0.1:80", { lease });
  const kratos = { id: "k1", name: "svc", version: "v2", metadata: { zone: "b" }, endpoints: ["grpc://10.0.0.2:90"] };
  await lab.etcd.put(`${prefix}k1`, JSON.stringify(kratos), { lease });
  await lab.etcd.put(`${prefix}k2`, JSON.stringify({ ...kratos, endpoints: [] }), { lease });
  await lab.etcd.put(`${prefix}go`, '{"Op":0,"Addr":"10.0.0.3:80","Metadata":"canary"}', { lease });
  await lab.register(`${prefix}ours`, "10.0.0.4:80", 5, { metadata: { zone: "a" }, weight: 3 }).ready;
  const invalid: string[] = [];
  const services = lab.subscribe(prefix);
  services.on("invalid", (key) => invalid.push(key));
  await services.ready;
  const list = services.list().map(({ id, address, weight, metadata }) => ({ id, address, weight, metadata }));
  expect(list).toEqual([
    { id: decimalLease, address: "10.0.0.1:80", weight: 1, metadata: undefined },
    { id: "go", address: "10.0.0.3:80", weight: 1, metadata: "canary" },
    {
      id: "k1",
      address: "10.0.0.2:90",
      weight: 1,
      metadata: { zone: "b", name: "svc", version: "v2", endpoints: ["grpc://10.0.0.2:90"] },
    },
    { id: "ours", address: "10.0.0.4:80", weight: 3, metadata: { zone: "a" } },
  ]);
  expect(invalid).toEqual([`${prefix}k2`]);
});

test("a value of another format beside the key is a warning, or the end before it registers", async () => {
  const prefix = lab.newPrefix();
  await lab.register(`${prefix}orders/m1`, "grpc://10.0.0.1:90", 5, { format: "kratos" }).ready;
  const warned = lab.register(`${prefix}orders/m2`, "10.0.0.2:80", 5, { format: "plain" });
  const warning = new Promise<Error>((resolve) => warned.once("warning", resolve));
  expect(await warning).toMatchObject({
    code: "ETCD_CONFLICT",
    message: expect.stringMatching(
      /orders\/ holds values that are not in the format plain, such as that of .*orders\/m1/,
    ),
  });
  await warned.ready;
  const byDefault = lab.register(`${prefix}orders/m4`, "10.0.0.4:80", 5);
  const [warning4] = await once(byDefault, "warning");
  expect(warning4).toMatchObject({ code: "ETCD_CONFLICT" });
  const options = { format: "kratos", foreignFormats: "error" } as const;
  const refused = lab.register(`${prefix}orders/m3`, "grpc://10.0.0.3:90", 5, options);
  await expect(refused.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
  expect(await lab.etcd.get(`${prefix}orders/m3`)).toBeUndefined();
  await lab.register(`${prefix}alone/m1`, "grpc://10.0.0.1:90", 5, options).ready;
});

test("each format is registered and followed at a real etcd, alone; go-zero's key is the service and a number", async () => {
  const prefix = lab.newPrefix();
  const made = {
    kratos: lab.register(`${prefix}kratos/orders/m1`, "grpc://10.0.0.1:90", 5, { format: "kratos", weight: 7 }),
    kitex: lab.register(`${prefix}kitex/orders/10.0.0.2:80`, "10.0.0.2:80", 5, { format: "kitex" }),
    zero: lab.register(`${prefix}zero/orders`, "10.0.0.3:80", 5, { format: "go-zero" }),
  };
  await Promise.all(Object.values(made).map(({ ready }) => ready));
  expect(made.zero.key).toMatch(/\/zero\/orders\/\d{1,19}$/);
  const read = async (folder: string, format: RegistrationFormat) => {
    const services = lab.subscribe(prefix + folder, { format });
    await services.ready;
    return services.list().map(({ address, weight }) => ({ address, weight }));
  };
  expect(await read("kratos/orders", "kratos")).toEqual([{ address: "10.0.0.1:90", weight: 7 }]);
  expect(await read("kitex/orders", "kitex")).toEqual([{ address: "10.0.0.2:80", weight: 10 }]);
  expect(await read("zero/orders", "go-zero")).toEqual([{ address: "10.0.0.3:80", weight: 1 }]);
  expect(await read("zero/orders", "kratos")).toEqual([]);
  // Back under the same key: the number is not that of the lease.
  const lease = (await lab.etcd.get(made.zero.key))?.lease;
  const lost = new Promise((resolve) => made.zero.once("lost", resolve));
  const back = new Promise((resolve) => made.zero.once("registered", resolve));
  await (await lab.client().adoptLease(lease as LeaseId, { keepAlive: false })).revoke();
  await lost;
  await back;
  expect((await lab.etcd.get(made.zero.key))?.text).toBe("10.0.0.3:80");
  // A client in Go knows no draining: the key goes first.
  await expect(made.kitex.update({ draining: true })).rejects.toThrow('cannot be carried by the format "kitex"');
  await made.kratos.update({ weight: 2 });
  expect(JSON.parse((await lab.etcd.get(made.kratos.key))?.text ?? "")).toMatchObject({ metadata: { weight: "2" } });
});
