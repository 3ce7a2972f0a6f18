import { describe, expect, test } from "vitest";
import {
  ClusterMonitor,
  InvalidOptionError,
  type RegistrationCodec,
  SubscribeService,
} from "../../../recipes/index.ts";
import { resolveRegistration } from "../../../recipes/registration/internal.ts";
import {
  decodeAs,
  decodeRegistration,
  encodeRegistration,
  type OwnRegistration,
} from "../../../recipes/registration-format/internal.ts";

const bare: OwnRegistration = { address: "10.0.0.1:80", weight: undefined, draining: false, metadata: undefined };

// Byte for byte what json.Marshal makes of registry.ServiceInstance (go-kratos/kratos, registry/registry.go) and of
// instanceInfo (kitex-contrib/registry-etcd, common.go), and what go-zero's publisher puts (core/discov/publisher.go).
const vectors = [
  {
    format: "kratos",
    key: "/microservices/orders/m1",
    own: { ...bare, address: "grpc://10.0.0.1:9000" },
    text: '{"id":"m1","name":"orders","version":"","metadata":null,"endpoints":["grpc://10.0.0.1:9000"]}',
    read: {
      address: "10.0.0.1:9000",
      weight: 1,
      draining: false,
      metadata: { name: "orders", endpoints: ["grpc://10.0.0.1:9000"] },
    },
  },
  {
    format: "kratos",
    key: "/microservices/orders/m1",
    own: {
      ...bare,
      address: "http://10.0.0.1:8000?isSecure=false",
      weight: 1,
      metadata: { zone: "a", version: "v2", endpoints: ["grpc://10.0.0.1:9000"] },
    },
    text: '{"id":"m1","name":"orders","version":"v2","metadata":{"zone":"a","weight":"1"},"endpoints":["http://10.0.0.1:8000?isSecure=false","grpc://10.0.0.1:9000"]}',
    read: {
      address: "10.0.0.1:8000",
      weight: 1,
      draining: false,
      metadata: {
        zone: "a",
        weight: "1",
        name: "orders",
        version: "v2",
        endpoints: ["http://10.0.0.1:8000?isSecure=false", "grpc://10.0.0.1:9000"],
      },
    },
  },
  {
    format: "kitex",
    key: "kitex/registry-etcd/orders/10.0.0.1:80",
    own: bare,
    text: '{"network":"tcp","address":"10.0.0.1:80","weight":10,"tags":null}',
    read: { address: "10.0.0.1:80", weight: 10, draining: false, metadata: undefined },
  },
  {
    format: "kitex",
    key: "kitex/registry-etcd/orders/10.0.0.1:80",
    own: { ...bare, weight: 3, metadata: { network: "unix", zone: "a" } },
    text: '{"network":"unix","address":"10.0.0.1:80","weight":3,"tags":{"zone":"a"}}',
    read: { address: "10.0.0.1:80", weight: 3, draining: false, metadata: { zone: "a", network: "unix" } },
  },
  {
    format: "go-zero",
    key: "orders.rpc/7587878652023214595",
    own: bare,
    text: "10.0.0.1:80",
    read: { address: "10.0.0.1:80", weight: 1, draining: false, metadata: undefined },
  },
] as const;

for (const { format, key, own, text, read } of vectors) {
  test(`${format} is written as its own library writes it, and read back: ${text.slice(0, 60)}`, () => {
    expect(encodeRegistration(format, own, key)).toBe(text);
    expect(decodeRegistration(text)).toEqual(read);
    expect(decodeAs([format], text, key)).toEqual(read);
  });
}

test("kitex: a weight of 0, or none, is 10, as its resolver takes it; what is no instance is refused, and not shown", () => {
  expect(decodeRegistration('{"network":"tcp","address":"a:1","weight":0,"tags":null}').weight).toBe(10);
  expect(decodeRegistration('{"network":"tcp","address":"a:1"}').weight).toBe(10);
  for (const text of [
    '{"network":"tcp","address":""}',
    '{"network":7,"address":"a:1"}',
    '{"network":"tcp","address":"a 1"}',
    '{"network":"tcp","address":"a:1","tags":{"secret":7}}',
  ]) {
    const decode = () => decodeRegistration(text);
    expect(decode).toThrow(/^the value is JSON, but not that of a kitex instance: look at (address|network|tags)$/);
  }
});

test("one format alone keeps out what is in another one, also what it would have read by chance", () => {
  const [kratos, , kitex] = vectors;
  const values = { plain: "10.0.0.1:80", kratos: kratos.text, kitex: kitex.text, endpoint: '{"Op":0,"Addr":"a:1"}' };
  for (const format of ["plain", "kratos", "kitex", "endpoint"] as const) {
    for (const [written, text] of Object.entries(values)) {
      const decode = () => decodeAs([format], text, "/svc/m1");
      if (written === format) expect(decode().address).not.toBe("");
      else expect(decode, `${written} as ${format}`).toThrow(`the value is not in the format ${format}`);
    }
  }
  expect(decodeAs(["kratos", "plain"], values.plain, "/svc/m1").address).toBe("10.0.0.1:80");
});

describe("what a format cannot carry is refused before any I/O", () => {
  const at = (key: string, address: string, given: Parameters<typeof resolveRegistration>[2]) => () =>
    resolveRegistration("ServiceRegister", { key, address }, given);
  for (const [what, key, address, given, message] of [
    ["kratos, bare address", "/ms/orders/m1", "10.0.0.1:80", { format: "kratos" }, /address must be a URL with scheme/],
    [
      "kratos, no service",
      "m1",
      "grpc://a:80",
      { format: "kratos" },
      /key must end with the service's name and its id/,
    ],
    ["kratos, share", "/a/b", "grpc://a:80", { format: "kratos", weight: 1.5 }, /weight must be a whole number/],
    [
      "kratos, number",
      "/a/b",
      "grpc://a:80",
      { format: "kratos", metadata: { n: 7 } },
      /must have text alone.*: look at n/,
    ],
    ["kitex, weight 0", "/a/b", "a:80", { format: "kitex", weight: 0 }, /weight must be a whole number of at least 1/],
    ["kitex, list", "/a/b", "a:80", { format: "kitex", metadata: { l: [] } }, /must have text alone.*: look at l/],
    ["go-zero, weight", "/a/b", "a:80", { format: "go-zero", weight: 2 }, /cannot be carried by the format "go-zero"/],
    ["plain, URL", "/a/b", "http://a:80/x", {}, /address must be host and port without a scheme: say "a:80"/],
    ["endpoint, URL", "/a/b", "https://a:80", { weight: 2 }, /say "a:80"; the caller puts https:\/\/ in front/],
    ["endpoint, URL with a password", "/a/b", "http://me:hunter2@a:80", {}, /say "a:80"; the caller/],
    ["endpoint, URL without a host", "/a/b", "http://me:hunter2", {}, /say "10\.0\.0\.1:8080"; the caller/],
    ["kitex, URL", "/a/b", "grpc://a:80", { format: "kitex" }, /address must be host and port without a scheme/],
  ] as const) {
    test(what, () => {
      expect(at(key, address, given)).toThrow(InvalidOptionError);
      expect(at(key, address, given)).toThrow(message);
    });
  }
  test("but not an address with a scheme that a client takes as it is", () => {
    expect(at("/a/b", "unix:///run/m1.sock", {})).not.toThrow();
    expect(at("/a/b", "dns:///orders:80", { weight: 2 })).not.toThrow();
  });
});

const csv: RegistrationCodec = {
  name: "csv",
  carries: { metadata: false, draining: false },
  encode: ({ id, address, weight = 1 }) => `${id},${address},${weight}`,
  decode: (value) => {
    const [, address, weight] = /^[^,]+,([^,]+),(\S+)$/.exec(value) ?? [];
    return address === undefined ? undefined : { address, weight: Number(weight) };
  },
};

test("a codec of one's own writes and reads; what it returns is checked, what it throws says why", () => {
  const text = encodeRegistration(csv, { ...bare, weight: 3 }, "/svc/m1");
  expect(text).toBe("m1,10.0.0.1:80,3");
  expect(decodeAs([csv], text, "/svc/m1")).toEqual({
    address: "10.0.0.1:80",
    weight: 3,
    draining: false,
    metadata: undefined,
  });
  expect(() => decodeAs([csv], "m1,a:1,heavy", "/svc/m1")).toThrow(
    "what the codec csv made of the value cannot be used: look at weight",
  );
  const register = (codec: unknown, given = {}) =>
    resolveRegistration("ServiceRegister", { key: "/svc/m1", address: "a:1" }, { format: codec, ...given });
  expect(() => register(csv, { metadata: {} })).toThrow('metadata cannot be carried by the format "csv"');
  expect(() => register({ ...csv, encode: () => 7 })).toThrow("format must encode to a string: csv made 7");
  const marked: RegistrationCodec = { ...csv, encode: ({ draining }) => (draining ? "\ud83d" : "😀"), carries: {} };
  for (const half of [marked, { ...csv, encode: () => "a\ude00\ud83db" }]) {
    expect(() => register(half)).toThrow(
      "format must encode to well-formed text: csv made half of a surrogate pair, which would be U+FFFD",
    );
  }
  expect(() => register({ ...marked, carries: { draining: false } })).not.toThrow();
  const broken = () => {
    throw new Error("no room");
  };
  expect(() => register({ ...csv, encode: broken })).toThrow("format cannot write this registration: csv: no room");
  for (const bad of [{ name: "x" }, { ...csv, name: "" }, "json", 7, null]) {
    expect(() => register(bad)).toThrow(/format must be "plain".* or a codec \{ name, encode, decode \}, not /);
  }
});

test("a list takes formats that there are, a monitor those that have room for an info", () => {
  expect(() => new SubscribeService("/svc/", { format: [] })).toThrow("SubscribeService: format must name a format");
  expect(() => new SubscribeService("/svc/", { format: ["plain", "json" as "plain"] })).toThrow('not "json"');
  for (const format of ["plain", "kratos", csv]) {
    expect(() => new ClusterMonitor("/nodes/", { format: format as "endpoint" })).toThrow(
      "ClusterMonitor: format must have room for the info of a node",
    );
  }
});
