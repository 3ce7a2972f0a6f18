import { expect, test } from "vitest";
import { InvalidValueError } from "../../../recipes/errors/index.ts";
import { decodeRegistration } from "../../../recipes/registration-format/internal.ts";

// kratos v2, contrib/registry/etcd: the key is `/microservices/<name>/<id>` (registry.go: registerKey), the value
// json.Marshal of registry.ServiceInstance (service.go: marshal), whose tags are id, name, version, metadata, endpoints
// (registry/registry.go). Its endpoints are URLs as transport servers give them: `grpc://host:port?isSecure=false`.
const kratos = {
  id: "c0a80101-host",
  name: "helloworld",
  version: "v1.0.0",
  metadata: { weight: "10", zone: "a" },
  endpoints: ["http://127.0.0.1:8000?isSecure=false", "grpc://127.0.0.1:9000?isSecure=false"],
};

test("an instance of kratos is its first endpoint, with its metadata, name, version and endpoints, and its weight", () => {
  expect(decodeRegistration(JSON.stringify(kratos))).toEqual({
    address: "127.0.0.1:8000",
    weight: 10,
    draining: false,
    metadata: { weight: "10", zone: "a", name: "helloworld", version: "v1.0.0", endpoints: kratos.endpoints },
  });
});

test("a kratos instance without metadata, name and version: Go writes null and empty text", () => {
  const text = '{"id":"1","name":"","version":"","metadata":null,"endpoints":["grpc://10.0.0.1:9000"]}';
  expect(decodeRegistration(text)).toEqual({
    address: "10.0.0.1:9000",
    weight: 1,
    draining: false,
    metadata: { endpoints: ["grpc://10.0.0.1:9000"] },
  });
});

test("where metadata and instance both say something, the instance counts; an empty one says nothing", () => {
  const metadata = { version: "of metadata", name: "of metadata", endpoints: "of metadata" };
  const decoded = decodeRegistration(JSON.stringify({ ...kratos, name: "", metadata })).metadata;
  expect(decoded).toEqual({ version: "v1.0.0", name: "of metadata", endpoints: kratos.endpoints });
});

for (const [endpoint, address] of [
  ["http://127.0.0.1:80", "127.0.0.1:80"],
  ["https://example.org:443/path?isSecure=true", "example.org:443"],
  ["grpc://[::1]:9000?isSecure=false", "[::1]:9000"],
  ["grpc://[fe80::1%25eth0]:9000", "[fe80::1%25eth0]:9000"],
  ["grpcs://user:secret@10.0.0.1:9000#fragment", "10.0.0.1:9000"],
  ["http://müller.example:8000", "müller.example:8000"],
  ["http://host", "host"],
] as const) {
  test(`the endpoint ${endpoint} is reached at ${address}`, () => {
    expect(decodeRegistration(JSON.stringify({ ...kratos, endpoints: [endpoint] })).address).toBe(address);
  });
}

for (const [written, weight] of [
  ["0", 0],
  ["2.5", 2.5],
  ["-1", 1],
  ["heavy", 1],
  ["", 1],
  ["1e3", 1],
  ["9".repeat(400), 1],
  [7, 1],
] as const) {
  test(`a kratos weight of ${JSON.stringify(written).slice(0, 12)} is read as ${weight}`, () => {
    expect(decodeRegistration(JSON.stringify({ ...kratos, metadata: { weight: written } })).weight).toBe(weight);
  });
}

for (const [what, endpoints] of [
  ["no endpoints", []],
  ["null", null],
  ["text that is no URL", ["127.0.0.1:8000"]],
  ["an empty host", ["http://:8000"]],
  ["a path alone", ["file:///run/m1.sock"]],
  ["a port that cannot be", ["http://10.0.0.1:65536"]],
  ["two ports", ["http://10.0.0.1:80:90"]],
  ["white space", ["http://10.0 .0.1:80"]],
  ["numbers", [7]],
  ["no list", "http://10.0.0.1:80"],
] as const) {
  test(`a kratos instance with ${what} for endpoints is refused, and not shown`, () => {
    const decode = () => decodeRegistration(JSON.stringify({ ...kratos, endpoints }));
    expect(decode).toThrow(InvalidValueError);
    expect(decode).toThrow(expect.objectContaining({ code: "ETCD_INVALID_VALUE" }));
    expect(decode).not.toThrow(/10\.0|8000|host-a/);
  });
}

test("what has an Addr is Go's endpoint, whatever else is in it", () => {
  const text = '{"Op":0,"Addr":"10.0.0.1:8080","Metadata":null,"endpoints":["http://10.0.0.2:80"]}';
  expect(decodeRegistration(text)).toMatchObject({ address: "10.0.0.1:8080" });
});

for (const [what, address] of [
  ["an empty text", '""'],
  ["an object with a length that is no number", '{"length":{"toString":{},"valueOf":{}}}'],
] as const) {
  test(`an Addr that is ${what} is refused as a value`, () => {
    expect(() => decodeRegistration(`{"Op":0,"Addr":${address}}`)).toThrow(InvalidValueError);
  });
}

// go-zero, core/discov: publisher.go puts the value as it is under makeEtcdKey (clients.go):
// `<key>/<lease id in decimal>`.
test("an instance of go-zero is the bare address", () => {
  expect(decodeRegistration("192.168.1.10:8081")).toEqual({
    address: "192.168.1.10:8081",
    weight: 1,
    draining: false,
    metadata: undefined,
  });
});
