import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Balancer, RandomChoice, RoundRobin, type ServiceInstance } from "../../../recipes/index.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { seeded } from "../../support/seeded.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function withInstances(ids: string, options = {}) {
  const prefix = lab.newPrefix();
  for (const id of ids) await lab.etcd.put(prefix + id, `10.0.0.1:${id.charCodeAt(0)}`);
  const services = lab.subscribe(prefix, options);
  await services.ready;
  return { prefix, services };
}

test("without a server there is an error that says why", async () => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix);
  const why = () => {
    try {
      return services.pick();
    } catch (error) {
      return error;
    }
  };
  const noServers = (state: string, message: string) => ({ code: "ETCD_NO_SERVERS", retryable: true, state, message });
  const notReady = `the list under ${prefix} is not there yet (connecting): await ready`;
  expect(why()).toMatchObject(noServers("not-ready", notReady));
  await services.ready;
  expect(why()).toMatchObject(noServers("empty", `no service is registered under ${prefix}`));
  await lab.etcd.put(`${prefix}m1`, '{"Op":0,"Addr":"a:1","Metadata":{"etcd-recipes/draining":true}}');
  await services.until(({ length }) => length === 1);
  expect(why()).toMatchObject(noServers("draining", `all 1 services under ${prefix} are draining`));
  const filtered = `the filter of the view lets none of the 1 services under ${prefix} through`;
  const view = services.view({ draining: false });
  expect(() => view.pick()).toThrow(expect.objectContaining(noServers("filtered", filtered)));
  await view.close();
  expect(() => view.pick()).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
  await services.close();
  expect(why()).toMatchObject({ code: "ETCD_CLOSED" });
});

test("one after the other, and never one that drains", async () => {
  const { prefix, services } = await withInstances("abcd", { balancer: new RoundRobin() });
  const picked = (count: number) => Array.from({ length: count }, () => services.pick().id).join("");
  // It begins anywhere: a fleet that starts together must not begin with one server.
  expect("abcdabcdabc").toContain(picked(8));
  await lab.etcd.put(`${prefix}b`, '{"Op":0,"Addr":"a:1","Metadata":{"etcd-recipes/draining":true}}');
  await services.until((list) => list.some(({ draining }) => draining));
  expect([...picked(9)].sort().join("")).toBe("aaacccddd");
});

test("a balancer sees the same array until the list changes, and the request of the caller", async () => {
  const seen: [readonly ServiceInstance[], unknown][] = [];
  const balancer = (servers: readonly ServiceInstance[], request: unknown) => {
    seen.push([servers, request]);
    return servers.at(-1) as ServiceInstance;
  };
  const { prefix, services } = await withInstances("ab", { balancer });
  expect(services.pick({ key: "user-42" }).id).toBe("b");
  services.pick();
  expect(seen[0]?.[0]).toBe(seen[1]?.[0]);
  expect(seen.map(([, request]) => request)).toEqual([{ key: "user-42" }, {}]);
  await lab.etcd.put(`${prefix}c`, "10.0.0.1:3");
  await services.until(({ length }) => length === 3);
  expect(services.pick().id).toBe("c");
  expect(seen[2]?.[0]).not.toBe(seen[0]?.[0]);
});

test("a Balancer of the user's own keeps its this", async () => {
  class First implements Balancer<ServiceInstance> {
    picked = 0;
    pick(servers: readonly ServiceInstance[]): ServiceInstance {
      this.picked++;
      return servers[0] as ServiceInstance;
    }
  }
  const balancer = new First();
  const { services } = await withInstances("ab", { balancer });
  services.pick();
  expect(services.pick().id).toBe("a");
  expect(balancer.picked).toBe(2);
});

test("two lists by the same name do not share a turn", async () => {
  const { prefix, services } = await withInstances("ab");
  const other = lab.subscribe(prefix, { balancer: "round-robin" });
  await other.ready;
  for (let turn = 0; turn < 10; turn++) {
    const own = services.pick().id;
    other.pick();
    expect(services.pick().id).not.toBe(own);
  }
});

test("random spreads evenly, whatever came before", async () => {
  const random = seeded("random balancer");
  const { services } = await withInstances("abcd", { balancer: new RandomChoice(() => random.next()) });
  const counts = new Map<string, number>();
  for (let pick = 0; pick < 4_000; pick++) {
    const { id } = services.pick();
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(count, `seed ${random.seed}`).toBeGreaterThan(850);
  expect(counts.size).toBe(4);
});
