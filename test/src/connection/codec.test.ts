import { describe, expect, test } from "vitest";
import { keyHash, memberStatus, snapshotPart } from "../../../src/connection/codec/admin-codec.ts";
import { Codec } from "../../../src/connection/codec/codec.ts";
import {
  decodeMessage,
  encodeMessage,
  enumOf,
  type FieldType,
  type MessageTable,
  repeated,
} from "../../../src/connection/codec/message-table.ts";
import { type ServiceName, type StubMethod, stubMethods } from "../../../src/connection/codec/stub-messages.ts";
import { stubCall } from "../../../src/connection/codec/wire-call.ts";
import { type KeyValue, prefix } from "../../../src/index.ts";
import type { LeaseId } from "../../../src/model/lease-id.ts";
import { serviceDefinition } from "../../support/proto-loader.ts";
import { RandomMessages } from "../../support/random-messages.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";

// Our codec beside proto-loader's, which is made from etcd's own .proto files: what one writes, the other reads.

type Json = Record<string, unknown>;

interface AnyMethod {
  requestSerialize(message: Json): Buffer;
  requestDeserialize(bytes: Buffer): Json;
  responseSerialize(message: Json): Buffer;
  responseDeserialize(bytes: Buffer): Json;
}

const rounds = 300;
/** Fields that no version of etcd has: a number, some bytes, a fixed64 and a fixed32. */
const unknownFields = Buffer.from([
  ...[0xf8, 0x07, 0x96, 0x01],
  ...[0x82, 0x08, 0x03, 1, 2, 3],
  ...[0x89, 0x08, 1, 2, 3, 4, 5, 6, 7, 8],
  ...[0x95, 0x08, 1, 2, 3, 4],
]);

function theirs(service: ServiceName, method: string) {
  const definition = serviceDefinition(service)[method] as AnyMethod;
  return {
    encodeRequest: definition.requestSerialize,
    decodeRequest: definition.requestDeserialize,
    encodeResponse: definition.responseSerialize,
    decodeResponse: definition.responseDeserialize,
  };
}

describe.each(["", "a/name space/"])("in the namespace %j", (namespace) => {
  const codec = new Codec(Buffer.from(namespace));
  const random = seeded(`codec ${namespace}`);
  const draw = new RandomMessages(random, Buffer.from(namespace));

  test.each([
    ["range", "KV", () => draw.range()],
    ["put", "KV", () => draw.put()],
    ["deleteRange", "KV", () => draw.deleteRange()],
    ["txn", "KV", () => draw.txn(2)],
    ["watch", "Watch", () => draw.watch()],
  ] as const)("a request of %s is what proto-loader would have written", (name, service, next) => {
    const { decodeRequest, encodeRequest } = theirs(service, name);
    for (let round = 0; round < rounds; round++) {
      const [ours, json] = next() as [never, Json];
      const bytes = codec[name].encode(ours);
      expect(decodeRequest(bytes), `seed ${random.seed}, round ${round}`).toEqual(decodeRequest(encodeRequest(json)));
    }
  });

  test.each([
    ["range", "KV", () => draw.rangeResponse()],
    ["put", "KV", () => draw.putResponse()],
    ["deleteRange", "KV", () => draw.deleteRangeResponse()],
    ["txn", "KV", () => draw.txnResponse(2)],
    ["watch", "Watch", () => draw.watchResponse()],
  ] as const)("an answer to %s is read as proto-loader reads it", (name, service, next) => {
    const { encodeResponse, decodeResponse } = theirs(service, name);
    for (let round = 0; round < rounds; round++) {
      const [json, answer] = next();
      const bytes = encodeResponse(json);
      const expectedOf = (wire: Buffer) => (name === "range" ? { ...answer, bytes: wire.length } : answer);
      const read = plain(codec[name].decode(bytes));
      expect(read, `seed ${random.seed}, round ${round}`).toEqual(expectedOf(bytes));
      // What a newer etcd adds is skipped, wherever proto-loader skips it.
      const more = Buffer.concat([unknownFields, bytes, unknownFields]);
      expect(decodeResponse(more)).toEqual(decodeResponse(bytes));
      expect(plain(codec[name].decode(more))).toEqual(expectedOf(more));
    }
  });
});

test("a watch within the namespace of its stream loses the rest of its own, wherever its number stands", () => {
  const codec = new Codec(Buffer.from("a/"));
  const { encodeResponse, decodeRequest } = theirs("Watch", "watch");
  const stream = codec.watchOn((watchId) => (watchId === "5" ? 2 : 0));
  const create = { range: prefix("k"), namespace: Buffer.from("b/"), startRevision: 1, previous: false, watchId: "5" };
  const { create_request: asked } = decodeRequest(stream.encode({ create })) as { create_request: Json };
  expect([asked.key, asked.range_end]).toEqual([Buffer.from("a/b/k"), Buffer.from("a/b/l")]);
  const keysOf = (...parts: Json[]) =>
    stream.decode(Buffer.concat(parts.map(encodeResponse))).events.map(({ kv }) => kv.key);
  const events = { events: [{ type: "Put", kv: { key: Buffer.from("a/b/k"), mod_revision: 1 } }] };
  expect(keysOf({ watch_id: 5 }, events)).toEqual(["k"]);
  expect(keysOf(events, { watch_id: 5 })).toEqual(["k"]);
  expect(keysOf({ watch_id: 6 }, events)).toEqual(["b/k"]);
  expect(keysOf(events)).toEqual(["b/k"]);
});

test("events stay what they were when the bytes that they were read from are overwritten", () => {
  const codec = new Codec();
  const { encodeResponse } = theirs("Watch", "watch");
  // None, small ones, one with a part of its own, one that is most of its message; keys that are not UTF-8.
  for (const lengths of [[0, 3, 0], [100, 5_000, 0, 7], [300_000, 2], Array.from({ length: 1_000 }, () => 100)]) {
    const kvs = lengths.map((length, index) => ({
      key: Buffer.from([0xff, index & 0xff, index >> 8]),
      value: Buffer.alloc(length, index + 1),
      mod_revision: index + 1,
    }));
    const bytes = encodeResponse({ watch_id: 5, events: kvs.map((kv) => ({ type: "Put", kv, prev_kv: kv })) });
    const { events } = codec.watch.decode(bytes);
    bytes.fill(0xee);
    for (const [index, { kv, previous }] of events.entries()) {
      const { key, value } = kvs[index] as (typeof kvs)[number];
      for (const each of [kv, previous as KeyValue]) {
        expect(Buffer.from(each.keyBytes).equals(key)).toBe(true);
        expect(each.text).toBe(value.toString());
        expect(Buffer.from(each.value).equals(value)).toBe(true);
      }
    }
  }
});

test("grants, renewals and revocations: every lease id from 1 to the largest", () => {
  const codec = new Codec();
  const { decodeRequest, encodeResponse } = theirs("Lease", "leaseKeepAlive");
  const grant = theirs("Lease", "leaseGrant");
  const revoke = theirs("Lease", "leaseRevoke");
  const random = seeded("renewals");
  const ids = [1n, 127n, 128n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n - 1n];
  for (let i = 0; i < rounds; i++)
    ids.push(BigInt(Math.floor(random.next() * 2 ** 53)) << BigInt(random.between(0, 10)));
  for (const id of ids.filter((each) => each > 0n)) {
    const hex = id.toString(16) as LeaseId;
    expect(decodeRequest(codec.leaseKeepAlive.encode(hex))).toEqual({ ID: id.toString() });
    for (const ttl of ["0", "5", "-1", "9000000000"]) {
      const bytes = encodeResponse({ header: { revision: "7" }, ID: id.toString(), TTL: ttl });
      expect(codec.leaseKeepAlive.decode(bytes)).toEqual({ id: hex, ttlSeconds: Number(ttl) });
      const asked = codec.leaseGrant.encode({ id: hex, ttlSeconds: Number(ttl) });
      expect(grant.decodeRequest(asked)).toEqual({ ID: id.toString(), TTL: ttl });
      const granted = grant.encodeResponse({ header: { revision: "7" }, ID: id.toString(), TTL: ttl, error: "none" });
      expect(codec.leaseGrant.decode(granted)).toEqual({ id: hex, ttlSeconds: Number(ttl) });
    }
    expect(revoke.decodeRequest(codec.leaseRevoke.encode(hex))).toEqual({ ID: id.toString() });
  }
  expect(() => codec.leaseKeepAlive.decode(encodeResponse({ TTL: "5" }))).toThrow(
    expect.objectContaining({ code: "ETCD_PROTOCOL" }),
  );
  expect(codec.leaseGrant.decode(grant.encodeResponse({ TTL: "5" }))).toEqual({ id: undefined, ttlSeconds: 5 });
  expect(codec.leaseRevoke.decode(revoke.encodeResponse({ header: { revision: "7" } }))).toBe(undefined);
});

test.each(["9007199254740992", "-9007199254740992", "9223372036854775807", "-9223372036854775808"])(
  "%s, which a number cannot hold, is refused and named",
  (decimal) => {
    const bytes = theirs("KV", "put").encodeResponse({ header: { revision: decimal } });
    expect(() => new Codec().put.decode(bytes)).toThrow(
      expect.objectContaining({ code: "ETCD_PROTOCOL", message: expect.stringContaining(decimal) }),
    );
  },
);

test.each(["9007199254740991", "-9007199254740991", "-1", "0", "4294967296", "2147483648"])("%s is read", (decimal) => {
  const bytes = theirs("KV", "put").encodeResponse({ header: { revision: decimal } });
  expect(new Codec().put.decode(bytes).revision).toBe(Number(decimal));
});

test("an answer that is cut short, or has bytes changed, is read or refused, and nothing is read beyond it", () => {
  const codec = new Codec();
  const random = seeded("broken answers");
  const draw = new RandomMessages(random, Buffer.alloc(0));
  for (let round = 0; round < rounds; round++) {
    const [json] = draw.txnResponse(1);
    const whole = theirs("KV", "txn").encodeResponse(json);
    // In the middle of other bytes, as it comes out of a socket.
    const around = Buffer.concat([Buffer.alloc(16, 0xff), whole, Buffer.alloc(16, 0xff)]);
    const end = random.between(0, whole.length);
    const cut = around.subarray(16, 16 + end);
    if (random.chance(0.5) && end > 0) cut[random.between(0, end - 1)] = random.between(0, 255);
    try {
      const { responses } = codec.txn.decode(cut);
      expect(JSON.stringify(responses).length).toBeLessThan(100 * (whole.length + 1));
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
      expect((error as Error).constructor.name).toMatch(/^(RangeError|ProtocolError|Error)$/);
    }
  }
});

// The calls of etcd3's stubs: the tables beside etcd3's own .proto files.
const stubs = Object.entries(stubMethods).flatMap(([service, methods]) =>
  Object.keys(methods).map((method) => [service as ServiceName, method] as const),
);

/** What etcd has got since: it has its default where a server does not send it. */
const newer: Readonly<Record<string, readonly string[]>> = {
  status: ["storageVersion", "dbSizeQuota", "downgradeInfo"],
  hashKV: ["hash_revision"],
  snapshot: ["version"],
};

test.each(stubs)("%s.%s: what the tables write and read is what proto-loader would", (service, method) => {
  const random = seeded(`stub ${service}.${method}`);
  const { encode, call } = stubCall<Json>(service, method);
  const since = newer[method] ?? [];
  const decode = (bytes: Buffer) =>
    Object.fromEntries(Object.entries(call.decode(bytes)).filter(([name]) => !since.includes(name)));
  const { encodeRequest, decodeRequest, encodeResponse, decodeResponse } = theirs(service, method);
  const { request, response } = (stubMethods[service] as Record<string, StubMethod>)[method] as StubMethod;
  for (let round = 0; round < rounds; round++) {
    const asked = randomMessage(random, request);
    const seed = `seed ${random.seed}, round ${round}`;
    expect(decodeRequest(encode(asked)), seed).toEqual(decodeRequest(encodeRequest(asked)));
    const answer = encodeResponse(randomMessage(random, response));
    expect(decode(answer), seed).toEqual(decodeResponse(answer));
    const more = Buffer.concat([unknownFields, answer, unknownFields]);
    expect(decode(more), seed).toEqual(decodeResponse(answer));
  }
  expect(decode(Buffer.alloc(0))).toEqual(decodeResponse(Buffer.alloc(0)));
});

test("what etcd 3.6 says of a member, a hash and a snapshot is read, and undefined from an older one", () => {
  const header = { cluster_id: "1", member_id: "255", revision: "3", raft_term: "2" };
  const received = (method: "status" | "hashKV" | "snapshot", more: Json) => {
    const { response } = (stubMethods.Maintenance as Record<string, StubMethod>)[method] as StubMethod;
    return stubCall<never>("Maintenance", method).call.decode(encodeMessage(response, { header, ...more }));
  };
  const downgradeInfo = { enabled: true, targetVersion: "3.5.0" };
  const status = { storageVersion: "3.6.0", dbSizeQuota: "2147483648", downgradeInfo };
  const known = { storageVersion: "3.6.0", dbSizeQuotaBytes: 2_147_483_648, downgradeTo: "3.5.0", memberId: "ff" };
  expect(memberStatus(received("status", status))).toMatchObject(known);
  const unknown = { storageVersion: undefined, dbSizeQuotaBytes: undefined, downgradeTo: undefined };
  expect(memberStatus(received("status", {}))).toMatchObject(unknown);
  expect(keyHash(received("hashKV", { hash: 4_294_967_295, hash_revision: "7" }))).toMatchObject({
    hash: 4_294_967_295,
    hashRevision: 7,
  });
  expect(keyHash(received("hashKV", {}))).toMatchObject({ hash: 0, hashRevision: undefined });
  expect(snapshotPart(received("snapshot", { version: "3.6.0" }))).toMatchObject({
    version: "3.6.0",
    remainingBytes: 0,
  });
  expect(snapshotPart(received("snapshot", {}))).toMatchObject({ version: undefined });
});

test("enums go by name, unknown ones by number; groups are skipped; what is cut short is refused", () => {
  const table = { kind: [1, enumOf({ NONE: 0, NOSPACE: 1 })], list: [2, repeated({ id: [1, "uint64"] })] } as const;
  const bytes = encodeMessage(table, { kind: "NOSPACE", list: [{ id: "18446744073709551615" }, {}] });
  expect(decodeMessage(table, bytes)).toEqual({ kind: "NOSPACE", list: [{ id: "18446744073709551615" }, { id: "0" }] });
  expect(decodeMessage(table, encodeMessage(table, { kind: 7 }))).toEqual({ kind: 7, list: [] });
  expect(() => encodeMessage(table, { kind: "OTHER" })).toThrow(/has no OTHER here/);
  const group = Buffer.from([0x83, 0x01, 0x08, 0x05, 0x8b, 0x01, 0x8c, 0x01, 0x84, 0x01]);
  expect(decodeMessage(table, Buffer.concat([group, bytes]))).toEqual(decodeMessage(table, bytes));
  for (const broken of [group.subarray(0, 4), Buffer.from([0x0c]), Buffer.from([0x12, 5, 1]), Buffer.from([0x0e])]) {
    expect(() => decodeMessage(table, broken)).toThrow(RangeError);
  }
});

function randomMessage(random: Seeded, table: MessageTable): Json {
  const values: Record<string, () => unknown> = {
    string: () => random.pick(["", "ü\n", "x".repeat(200)]),
    bytes: () => Buffer.alloc(random.between(0, 300), 7),
    bool: () => random.chance(0.5),
    int64: () => random.pick(["0", "127", "128", "-1", "4294967296", "-9223372036854775808", "9223372036854775807"]),
    uint32: () => random.pick([0, 300, 4_294_967_295]),
    uint64: () => random.pick(["0", "300", "4294967295", "9223372036854775808", "18446744073709551615"]),
  };
  const drawn = (type: FieldType): unknown => {
    if (typeof type === "string") return values[type]?.();
    if ("numbers" in type) return random.pick(Object.keys(type.numbers as object));
    return "of" in type
      ? Array.from({ length: random.between(0, 4) }, () => drawn((type as { of: FieldType }).of))
      : randomMessage(random, type as MessageTable);
  };
  const present = Object.entries(table).filter(() => random.chance(0.7));
  return Object.fromEntries(present.map(([name, [, type]]) => [name, drawn(type)]));
}

/** With the values that a KeyValue makes when it is asked for. */
function plain(message: unknown): unknown {
  if (Array.isArray(message)) return message.map(plain);
  if (typeof message !== "object" || message === null) return message;
  if ("modRevision" in message) return plainKeyValue(message as KeyValue);
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, plain(value)]));
}

function plainKeyValue({ key, keyBytes, value, text, createRevision, modRevision, version, lease }: KeyValue) {
  return {
    key,
    keyBytes: Buffer.from(keyBytes).toString("hex"),
    value: Buffer.from(value).toString("hex"),
    text,
    createRevision,
    modRevision,
    version,
    lease,
  };
}
