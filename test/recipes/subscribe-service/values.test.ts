import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { InvalidValueError, type MetadataSchema } from "../../../recipes/index.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const poison: [string, string | Uint8Array][] = [
  ["an empty value", ""],
  ["white space", " \n"],
  ["random bytes", Uint8Array.from([0x80, 0xff, 0x00, 0xfe, 0x13])],
  ["truncated JSON", '{"Op":0,"Addr":"10.0.0.1'],
  ["a JSON array", '["10.0.0.1:80"]'],
  ["a JSON string", '"10.0.0.1:80"'],
  ["a number", "8080"],
  ["null", "null"],
  ["a deletion as Go's naming writes it", '{"Op":1,"Addr":"10.0.0.1:80","Metadata":null}'],
  ["no Addr", '{"Op":0,"Metadata":{}}'],
  ["an empty Addr", '{"Op":0,"Addr":""}'],
  ["an Addr that is no text", '{"Op":0,"Addr":8080}'],
  ["another JSON", '{"address":"10.0.0.1:80"}'],
  ["a negative weight", '{"Op":0,"Addr":"a:1","Metadata":{"etcd-recipes/weight":-1}}'],
  ["a draining that is no boolean", '{"Op":0,"Addr":"a:1","Metadata":{"etcd-recipes/draining":"yes"}}'],
  ["a sentence", "the service is at 10.0.0.1"],
  ["a huge value", "x".repeat(1_000_000)],
  ["deep JSON", `{"Op":0,"Addr":${"[".repeat(20_000)}`],
];

test("what cannot be read is kept out and reported, one by one, and hurts nothing else", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}good1`, "10.0.0.1:80");
  for (const [what, value] of poison) await lab.etcd.put(`${prefix}${what}`, value);
  await lab.etcd.put(prefix, "10.0.0.9:80");
  await lab.etcd.put(Buffer.concat([Buffer.from(prefix), Buffer.from([0xff, 0xfe])]), "10.0.0.9:80");
  await lab.etcd.put(`${prefix}good2`, '{"Op":0,"Addr":"10.0.0.2:80","Metadata":null}');
  const services = lab.subscribe(prefix);
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  expect(services.list().map(({ id }) => id)).toEqual(["good1", "good2"]);
  const keptOut = recorder.of<string>("invalid");
  expect(keptOut).toHaveLength(poison.length + 2);
  for (const [what] of poison) expect(keptOut).toContain(prefix + what);
  for (const { name, args } of recorder.events) {
    if (name !== "invalid") continue;
    expect(args[1]).toBeInstanceOf(InvalidValueError);
    // Values can be anything, also secrets and megabytes.
    expect((args[1] as Error).message.length).toBeLessThan(120);
  }
  expect(recorder.names.at(-2)).toBe("change");
});

test("an instance that becomes unreadable is emitted as invalid and deleted; readable again it is put", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, "10.0.0.1:80");
  const services = lab.subscribe(prefix);
  await services.ready;
  const [before] = services.list();
  const recorder = new Recorder(services, subscribeEvents);
  await lab.etcd.put(`${prefix}m1`, "{");
  await services.until(({ length }) => length === 0);
  expect(recorder.names).toEqual(["invalid", "delete", "change"]);
  expect(recorder.of("delete")).toEqual([before]);
  recorder.clear();
  await lab.etcd.put(`${prefix}m1`, "{}");
  await until(() => recorder.events.length === 1);
  expect(recorder.names).toEqual(["invalid"]);
  await lab.etcd.put(`${prefix}m1`, "10.0.0.2:80");
  await services.until(({ length }) => length === 1);
  expect(recorder.events.slice(1).map(({ name, args }) => [name, args.length])).toEqual([
    ["put", 1],
    ["change", 2],
  ]);
});

test("__proto__ in metadata is a field like others and changes no prototype", async () => {
  const prefix = lab.newPrefix();
  await lab.etcd.put(`${prefix}m1`, '{"Op":0,"Addr":"a:1","Metadata":{"__proto__":{"polluted":true},"zone":"a"}}');
  const services = lab.subscribe(prefix);
  await services.ready;
  const metadata = services.list()[0]?.metadata as Record<string, unknown>;
  expect(Object.getPrototypeOf(metadata)).toBe(Object.prototype);
  expect(metadata.zone).toBe("a");
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test("metadata is what the schema says; an instance that it rejects is kept out, by field and without its value", async () => {
  const prefix = lab.newPrefix();
  const metadata = z.object({ zone: z.string(), since: z.coerce.date() });
  const good = { zone: "a", since: "2026-01-01T00:00:00Z", other: 1 };
  await lab.register(`${prefix}good`, "10.0.0.1:80", 5, { metadata: good, weight: 7 }).ready;
  await lab.register(`${prefix}bad`, "10.0.0.2:80", 5, { metadata: { ...good, zone: 5 } }).ready;
  await lab.register(`${prefix}plain`, "10.0.0.3:80", 5).ready;
  const services = lab.subscribe(prefix, { metadata });
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  const [only] = services.list();
  expect(services.list()).toHaveLength(1);
  // The reserved names are taken out before the schema sees it, so a strict one would do too.
  expect(only).toMatchObject({ id: "good", weight: 7, metadata: { zone: "a", since: new Date(good.since) } });
  expect(only?.metadata.since.getFullYear()).toBe(2026);
  const invalid = recorder.events.filter(({ name }) => name === "invalid").map(({ args }) => args);
  expect(invalid).toMatchObject([
    [`${prefix}bad`, { code: "ETCD_INVALID_VALUE", message: expect.stringContaining("at zone: ") }],
    [`${prefix}plain`, { code: "ETCD_INVALID_VALUE" }],
  ]);
});

test("a schema written by hand works, also one that throws", async () => {
  const prefix = lab.newPrefix();
  const metadata: MetadataSchema<{ zone: string }> = {
    "~standard": {
      version: 1,
      vendor: "by hand",
      validate(value) {
        const { zone } = value as { zone: string };
        if (zone === "throw") throw new Error("no such zone");
        return zone.length === 1
          ? { value: { zone } }
          : { issues: [{ message: "one letter", path: [{ key: "zone" }] }] };
      },
    },
  };
  for (const zone of ["a", "long", "throw"])
    await lab.register(prefix + zone, "10.0.0.1:80", 5, { metadata: { zone } }).ready;
  const services = lab.subscribe(prefix, { metadata });
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  expect(services.list().map((instance) => instance.metadata.zone)).toEqual(["a"]);
  expect(
    recorder.events.filter(({ name }) => name === "invalid").map(({ args }) => (args[1] as Error).message),
  ).toEqual(["the schema rejects the metadata at zone: one letter", "no such zone"]);
});

test("an asynchronous schema is refused: at once if it shows, else when it does", async () => {
  const prefix = lab.newPrefix();
  const always = z.unknown().refine(async () => true);
  expect(() => lab.subscribe(prefix, { metadata: always })).toThrow(
    "SubscribeService: metadata must be a synchronous schema; this one answers with a promise",
  );
  await lab.register(`${prefix}m1`, "10.0.0.1:80", 5, { metadata: { zone: "a" } }).ready;
  const late: MetadataSchema<unknown> = {
    "~standard": {
      version: 1,
      vendor: "by hand",
      validate: (value) => (value === undefined ? { value } : Promise.reject(new Error("not awaited"))),
    },
  };
  const services = lab.subscribe(prefix, { metadata: late });
  const recorder = new Recorder(services, subscribeEvents);
  await expect(services.ready).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION", option: "metadata" });
  expect(recorder.events.map(({ name, status }) => [name, status])).toEqual([
    ["status", "failed"],
    ["failed", "failed"],
  ]);
  await expect(services.until(() => true)).rejects.toMatchObject({ code: "ETCD_INVALID_OPTION" });
});
