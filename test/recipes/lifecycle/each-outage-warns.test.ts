import { expect, test } from "vitest";
import { Candidacy } from "../../../recipes/candidacy/candidacy.ts";
import { type EtcdClient, Queue, RegistrationGroup } from "../../../recipes/index.ts";
import { WarnOnce } from "../../../recipes/retries/index.ts";
import { fakeEtcd } from "../../../testing/index.ts";

// An outage a day, shorter than the TTL: each is news, also where its message is that of the one before.

interface Recipe {
  on(name: "warning", listener: (error: Error) => void): unknown;
  close(): Promise<void>;
}

const recipes: readonly [name: string, make: (client: EtcdClient) => Recipe][] = [
  [
    "a Queue whose worker waits",
    (client) => {
      const queue = new Queue("/queue", { client, ttlSeconds: 600 });
      queue.dequeue().catch(() => {});
      return queue;
    },
  ],
  [
    "a RegistrationGroup that is registered",
    (client) => {
      const group = new RegistrationGroup("/group", 600, { client });
      group.register("a", "10.0.0.1:80");
      return group;
    },
  ],
];

test.each(recipes)("%s emits a warning for each outage", async (_, make) => {
  await using etcd = await fakeEtcd({ time: "manual" });
  const recipe = make(etcd.client());
  let warnings = 0;
  recipe.on("warning", () => warnings++);
  await etcd.advance(60_000);
  const perOutage: number[] = [];
  for (let outage = 0; outage < 4; outage++) {
    const before = warnings;
    etcd.down();
    await etcd.advance(120_000);
    etcd.up();
    await etcd.advance(120_000);
    perOutage.push(warnings - before);
  }
  expect(perOutage.filter((count) => count === 0)).toEqual([]);
  const closing = recipe.close();
  await etcd.advance(10_000);
  await closing;
});

test("a candidate that is in line, and was refused before, says so again", async () => {
  await using etcd = await fakeEtcd();
  const client = etcd.client();
  const heard: string[] = [];
  const warnings = new WarnOnce(({ message }) => heard.push(message));
  const refuse = () => warnings.warn(new Error("permission denied"));
  for (let refusals = 0; refusals < 3; refusals++) refuse();
  const candidacy = new Candidacy(client, "/leader", "a", await client.grantLease(60), warnings);
  await candidacy.untilFirst();
  for (let refusals = 0; refusals < 3; refusals++) refuse();
  expect(heard.length).toBe(2);
  await candidacy.leave();
});
