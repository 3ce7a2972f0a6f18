import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { balancerNames, ClusterMonitor, InvalidValueError, prefix, RegistrationGroup } from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { type Seeded, seeded } from "../support/seeded.ts";
import { until } from "../support/until.ts";
import { keyUnder, nastyKey, nastyObject, nastyValue, pollution, times } from "./hostile-values.ts";
import { unharmed } from "./unharmed.ts";

const rounds = ["one", "two", "three"];

/** What Go's `naming/endpoints`, we, and kratos write. */
const registrationFields = {
  Op: "0",
  Addr: '"10.0.0.1:80"',
  Metadata: '{"zone":"a","version":"1.0.0","etcd-recipes/weight":2,"etcd-recipes/draining":false}',
  name: '"n"',
  endpoints: '["grpc://10.0.0.1:80"]',
  metadata: '{"weight":"10"}',
};

const good: Readonly<Record<string, string>> = {
  "!plain": "10.9.0.1:80",
  endpoint: '{"Op":0,"Addr":"10.9.0.2:80","Metadata":{"zone":"a","etcd-recipes/weight":3}}',
  kratos: '{"id":"k","name":"n","version":"v1","metadata":{"weight":"5"},"endpoints":["grpc://10.9.0.3:80"]}',
  "~last": "10.9.0.4:80",
};

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function putNasty(random: Seeded, under: string, fields: Readonly<Record<string, string>>, count: number) {
  for (const index of times(count, (at) => at)) {
    await lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyValue(random, fields));
  }
}

async function putGood(under: string): Promise<void> {
  for (const [id, value] of Object.entries(good)) await lab.etcd.put(`${under}${id}`, value);
}

test.each(rounds)(
  "a list of services with hostile entries serves the good ones and reports the others: %s",
  async (round) => {
    const random = seeded(`services ${round}`);
    const under = lab.newPrefix();
    await putNasty(random, under, registrationFields, 25);
    // A finding for each of its items would take a second to write down.
    await lab.etcd.put(`${under}a`, `{"endpoints":[${"0,".repeat(700_000)}0]}`);
    await putGood(under);
    using _ = unharmed();
    const schema = z.looseObject({ zone: z.string().optional() }).optional();
    const lists = [
      ...balancerNames.map((balancer) => lab.subscribe(under, { balancer })),
      lab.subscribe(under, { metadata: schema }),
    ];
    const invalid = lists.map((services) => {
      const received = new Map<string, Error>();
      services.on("invalid", (key, error) => received.set(key, error));
      return received;
    });
    await Promise.all(lists.map(({ ready }) => ready));
    await putNasty(random, under, registrationFields, 25);
    await lab.etcd.put(`${under}~~end`, "10.9.0.5:80");
    const { kvs } = await lab.etcd.range(prefix(under));
    for (const [at, services] of lists.entries()) {
      const received = invalid[at] as Map<string, Error>;
      const list = await services.until((them) => them.some(({ id }) => id === "~~end"));
      const addresses = new Map(list.map(({ id, address }) => [id, address]));
      expect([...Object.keys(good)].map((id) => addresses.get(id))).toEqual(times(4, (n) => `10.9.0.${n + 1}:80`));
      const listed = new Set(list.map(({ key }) => key));
      expect(kvs.filter(({ key }) => listed.has(key) === received.has(key)).map(({ key }) => key)).toEqual([]);
      for (const error of received.values()) {
        expect(error).toBeInstanceOf(InvalidValueError);
        expect(error.message.length).toBeLessThan(2_000);
      }
      for (const { weight, address } of list) {
        expect(weight >= 0 && weight < Number.POSITIVE_INFINITY).toBe(true);
        expect(address).not.toMatch(/[\p{Cc}\s]/u);
      }
      for (const index of times(200, (n) => n)) expect(listed.has(services.pick({ key: `${index}` }).key)).toBe(true);
      expect(typeof (await services.call(({ id }) => id, { attempts: 2 }))).toBe("string");
      const view = services.view({ zone: ["a", "__proto__"], metadata: { zone: "a" } });
      expect(view.list().map(({ id }) => id)).toContain("endpoint");
      await view.close();
    }
  },
);

test("what is named like a prototype is data, in whichever format: it gives nothing to anybody", async () => {
  const under = lab.newPrefix();
  const given = `{${JSON.stringify(pollution)}:true,"zone":"a","version":"1"}`;
  const metadata = `{"__proto__":${given},"constructor":{"prototype":${given}},"own":"1"}`;
  await lab.etcd.put(`${under}endpoint`, `{"Addr":"10.0.0.1:80","Metadata":${metadata}}`);
  await lab.etcd.put(`${under}kratos`, `{"endpoints":["grpc://10.0.0.2:80"],"metadata":${metadata}}`);
  using _ = unharmed();
  const lists = [lab.subscribe(under), lab.subscribe(under, { metadata: z.record(z.string(), z.unknown()) })];
  for (const services of lists) {
    await services.ready;
    expect(services.list().map(({ id }) => id)).toEqual(["endpoint", "kratos"]);
    for (const read of services.list().map((instance) => instance.metadata as Record<string, unknown>)) {
      expect(read.own).toBe("1");
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      expect(read[pollution]).toBeUndefined();
    }
    // None has a zone or a version of its own, and no inherited property counts as one.
    for (const filter of [{ zone: "a" }, { version: "1" }, { metadata: { toString: Object.prototype.toString } }]) {
      const view = services.view(filter as never);
      expect(view.list()).toEqual([]);
      await view.close();
    }
  }
  await lab.etcd.put(`${under}nodes/n`, `{"Addr":"n","Metadata":{"info":${metadata},"upSince":1,"changedAt":1}}`);
  const monitor = new ClusterMonitor<Record<string, unknown>>(`${under}nodes/`, { client: lab.etcd });
  lab.also(() => monitor.close());
  await monitor.ready;
  const [node] = monitor.nodes();
  expect(node?.info.own).toBe("1");
  expect(node?.info[pollution]).toBeUndefined();
});

test.each(rounds)("a registration holds its key against hostile values: %s", async (round) => {
  const random = seeded(`register ${round}`);
  const key = `${lab.newPrefix()}m1`;
  await lab.etcd.put(key, nastyValue(random, registrationFields));
  using _ = unharmed();
  const server = lab.register(key, "10.0.0.1:80", 5, { metadata: { zone: "a" } });
  await server.ready;
  for (const __ of times(5, (n) => n)) {
    const { lease, text } = (await lab.etcd.get(key)) ?? {};
    expect(text).toContain("10.0.0.1:80");
    // Over the key on its own lease: that is its own, and it puts it right. Then one of another's.
    await lab.etcd.put(key, nastyValue(random, registrationFields), { lease });
    await until(async () => (await lab.etcd.get(key))?.text.includes("10.0.0.1:80"));
    await lab.etcd.put(key, nastyValue(random, registrationFields));
    await until(() => server.status === "passive");
    await lab.etcd.delete(key);
    await until(() => server.status === "registered");
  }
  const other = lab.register(key, "10.0.0.2:80", 5, { onConflict: "error" });
  await expect(other.ready).rejects.toMatchObject({ code: "ETCD_CONFLICT" });
});

test.each(rounds)("a group takes hostile keys off its lease and keeps its own: %s", async (round) => {
  const random = seeded(`group ${round}`);
  const under = lab.newPrefix();
  const warnings: Error[] = [];
  using _ = unharmed();
  const group = new RegistrationGroup(under, 5, { client: lab.etcd });
  lab.also(() => group.close());
  group.on("warning", (error) => warnings.push(error));
  const members = times(3, (n) => group.register(`m${n}`, `10.0.0.${n}:80`, { metadata: { n } }));
  await group.ready;
  const { lease } = (await lab.etcd.get(`${under}m0`)) ?? {};
  for (const index of times(15, (n) => n)) {
    const value = nastyValue(random, registrationFields);
    await lab.etcd.put(keyUnder(under, nastyKey(random, index)), value, random.chance(0.7) ? { lease } : {});
  }
  await lab.etcd.put(`${under}m1`, nastyValue(random, registrationFields), { lease });
  await lab.etcd.put(`${under}~last`, "leftover", { lease });
  await until(async () => (await lab.etcd.get(`${under}~last`)) === undefined);
  await until(async () => (await lab.etcd.get(`${under}m1`))?.text.includes("10.0.0.1:80"));
  const ours = async () => {
    const { kvs } = await lab.etcd.range(prefix(under));
    const listed = kvs.filter((kv) => kv.lease === lease && !kv.key.includes("\ufffd"));
    return listed.map(({ key }) => key.slice(under.length)).join();
  };
  // Leftovers go one after the other.
  await until(async () => (await ours()) === "m0,m1,m2", { message: "only its own are left" });
  expect(members.map(({ status }) => status)).toEqual(["registered", "registered", "registered"]);
  expect(warnings).toEqual([]);
});

test("a node whose times are no numbers is no node", async () => {
  const under = lab.newPrefix();
  const monitor = new ClusterMonitor(under, { client: lab.etcd });
  lab.also(() => monitor.close());
  const invalid: string[] = [];
  monitor.on("invalid", (key) => invalid.push(key));
  const times = {
    "b-up": '"upSince":"1","changedAt":1',
    "c-changed": '"upSince":1,"changedAt":null',
    "d-none": '"x":1',
  };
  for (const [name, fields] of Object.entries({ a: '"upSince":1,"changedAt":1', ...times })) {
    await lab.etcd.put(`${under}${name}`, `{"Addr":"n","Metadata":{"info":{},${fields}}}`);
  }
  await monitor.ready;
  await until(() => invalid.length === 3);
  expect(invalid).toEqual(Object.keys(times).map((name) => `${under}${name}`));
  expect(monitor.nodes().map(({ name }) => name)).toEqual(["a"]);
});

test.each(rounds)("a cluster with hostile nodes lists the good ones: %s", async (round) => {
  const random = seeded(`monitor ${round}`);
  const under = lab.newPrefix();
  const fields = { Op: "0", Addr: '"n"', Metadata: '{"info":{"zone":"a"},"upSince":1,"changedAt":2}' };
  const metadata = { info: '{"zone":"a"}', upSince: "1", changedAt: "1e308" };
  const nastyNode = () =>
    random.chance(0.5) ? nastyValue(random, fields) : `{"Addr":"n","Metadata":${nastyObject(random, metadata)}}`;
  for (const index of times(20, (n) => n)) await lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyNode());
  using _ = unharmed();
  const monitor = new ClusterMonitor<{ zone: string }>(under, {
    client: lab.etcd,
    info: z.object({ zone: z.string() }),
  });
  lab.also(() => monitor.close());
  const invalid = new Map<string, Error>();
  monitor.on("invalid", (key, error) => invalid.set(key, error));
  await monitor.join("good", { zone: "b" }).ready;
  for (const index of times(20, (n) => n)) await lab.etcd.put(keyUnder(under, nastyKey(random, index)), nastyNode());
  await monitor.join("~good", { zone: "c" }).ready;
  await until(() => monitor.nodes().some(({ name }) => name === "~good"));
  const listed = new Set(monitor.nodes().map(({ name }) => `${under}${name}`));
  const { kvs } = await lab.etcd.range(prefix(under));
  expect(kvs.filter(({ key }) => listed.has(key) === invalid.has(key)).map(({ key }) => key)).toEqual([]);
  expect(monitor.nodes().filter(({ info }) => typeof info.zone !== "string")).toEqual([]);
  expect(monitor.nodes().find(({ name }) => name === "good")?.info).toEqual({ zone: "b" });
});
