import { expect, test } from "vitest";
import {
  decodeRegistration,
  encodeRegistration,
  type Registration,
} from "../../../recipes/registration-format/internal.ts";

const bare: Registration = { address: "10.0.0.1:8080", weight: 1, draining: false, metadata: undefined };

test("plain is the bare address", () => {
  expect(encodeRegistration("plain", bare)).toBe("10.0.0.1:8080");
  expect(decodeRegistration("10.0.0.1:8080")).toEqual(bare);
});

// As Go's client/v3/naming/endpoints writes `Endpoint{Addr, Metadata}`: json.Marshal of internal.Update.
const goVectors: [string, Registration][] = [
  ['{"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}', bare],
  ['{"Op":0,"Addr":"10.0.0.1:8080","Metadata":{"zone":"a"}}', { ...bare, metadata: { zone: "a" } }],
  ['{"Op":0,"Addr":"10.0.0.1:8080","Metadata":{}}', { ...bare, metadata: {} }],
];

for (const [text, registration] of goVectors) {
  test(`endpoint is written byte for byte as Go writes it: ${text}`, () => {
    expect(encodeRegistration("endpoint", registration)).toBe(text);
    expect(decodeRegistration(text)).toEqual(registration);
  });
}

test("what Go can write and we do not is read: text or a number for metadata, escaped signs, unknown fields", () => {
  expect(decodeRegistration('{"Op":0,"Addr":"a:1","Metadata":"v2"}')).toEqual({
    ...bare,
    address: "a:1",
    metadata: "v2",
  });
  expect(decodeRegistration('{"Op":0,"Addr":"a:1","Metadata":7}').metadata).toBe(7);
  expect(decodeRegistration('{"Op":0,"Addr":"a:1?x=1\\u0026y=2","Metadata":null}').address).toBe("a:1?x=1&y=2");
  expect(decodeRegistration('{"Addr":"a:1"}')).toEqual({ ...bare, address: "a:1" });
  expect(decodeRegistration(' {"Addr":"a:1","Future":{}}\n').address).toBe("a:1");
});

test("weight and draining stand in Metadata under reserved names, only when they say something", () => {
  const full: Registration = { address: "a:1", weight: 0.5, draining: true, metadata: { zone: "a" } };
  const text = encodeRegistration("endpoint", full);
  expect(text).toBe(
    '{"Op":0,"Addr":"a:1","Metadata":{"zone":"a","etcd-recipes/weight":0.5,"etcd-recipes/draining":true}}',
  );
  expect(decodeRegistration(text)).toEqual(full);
  expect(decodeRegistration(encodeRegistration("endpoint", { ...bare, weight: 0 }))).toEqual({
    ...bare,
    weight: 0,
    metadata: {},
  });
});

for (const address of [
  "[::1]:80",
  "unix:///run/m1.sock",
  "http://10.0.0.1:80/path?x=1&y=2",
  "müller.example:80",
  "host",
]) {
  test(`${address} is read back from either format`, () => {
    for (const format of ["plain", "endpoint"] as const) {
      expect(decodeRegistration(encodeRegistration(format, { ...bare, address }))).toEqual({ ...bare, address });
    }
  });
}
