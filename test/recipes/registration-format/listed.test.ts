import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
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
