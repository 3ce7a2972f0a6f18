import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { startEtcd } from "../../testing/index.ts";
import { runExample } from "./run-example.ts";

const names = readdirSync(new URL("../../examples/", import.meta.url))
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -".ts".length));

test("every example ends by itself, and together they do what they say", async () => {
  await using cluster = await startEtcd();
  const env = { ETCD_ENDPOINTS: cluster.endpoints.join() };

  const examples = new Map(names.map((name) => [name, runExample(name, { env })]));

  for (const [name, example] of examples) {
    expect(await example.ended, `${name}: ${example.output}`).toEqual({ code: 0, signal: null });
  }
  expect(examples.get("register")?.output).toMatch(
    /registered at revision \d+\n\/publictest\/pipeline\/m1 is closed\n$/,
  );
  expect(examples.get("register-group")?.output).toBe(
    "1000 tenants are registered\ntenant-0 takes twenty times the load\n999 tenants are left\ntenant-0 is closed\n",
  );
  expect(examples.get("call")?.output).toBe(
    "m1 is left out for 10000 ms: consecutive failures\n60 calls were answered by 2 servers\nm0; m1, left out; m2\n",
  );
  expect(examples.get("serve")?.output).toBe("it says hello, ready: true\nit has left the list\nit has closed\n");
  expect(examples.get("serve-express")?.output).toBe(
    'it says hello, ready: {"ready":true,"reasons":[]}\nit has left the list\nit has closed\n',
  );
  expect(examples.get("subscribe")?.output).toMatch(/\+ m1 at 10\.0\.0\.1:8080\nthe list has 1 services\n- m1\n/);
  expect(examples.get("elect")?.output).toMatch(/scheduler-\d leads.*scheduler-\d leads.*scheduler-\d has resigned/s);
  expect(examples.get("elect")?.output).toMatch(/\/leader is scheduler-\d/);
  expect(examples.get("lock")?.output).toMatch(/counted to 3\n\/locks\/counter was not free within 100 ms\n$/);
  expect(examples.get("queue")?.output).toBe(
    "3 jobs\nbuild proj-1, attempt 1\nbuild proj-2, attempt 1\npoison, attempt 1\npoison, attempt 2\n" +
      "proj-3 is given up after 2 attempts\ndead letter: poison\nclosed\n",
  );
  expect(examples.get("storage")?.output).toMatch(/\+ proj-1: \/data\/proj-1\n/);
  expect(examples.get("storage")?.output).toMatch(/- proj-1, cleaning \/data\/proj-1\n$/);
  expect(examples.get("expire")?.output).toBe("cleaned forgotten: expired\nleft: used\ncleaned used: evicted\n");
  expect(examples.get("cancel")?.output).toMatch(
    /^run-\d+ was cancelled: superseded\ncancelled by the first call: true, by the second: false\n$/,
  );
  expect(examples.get("confirm")?.output).toBe(
    "deploy: approved by alice\nclean-up: timeout\nbob is too late: timeout\n",
  );
  expect(examples.get("monitor")?.output).toMatch(
    /^worker-1 is up in a since .*\nworker-1: load 7\nworker-1: load 7, draining\nworker-1 is down\n0 nodes\n$/,
  );
});
