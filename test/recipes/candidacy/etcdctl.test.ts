import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Term } from "../../../recipes/index.ts";
import { onAbort } from "../../../src/internal/index.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "./election-lab.ts";
import { etcdctl } from "./etcdctl.ts";

// HARDSHIPS 22: the library and etcdctl both got the lock.

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));
const inLine = (name: string, count: number) => until(async () => (await lab.line(name)).length === count);

test("etcdctl elect and ours take turns, in the order of their arrival", async () => {
  const name = lab.newName();
  const order: string[] = [];
  const elect = async (candidate: string) => {
    const ctl = await etcdctl(lab.endpoint, "elect", name, candidate);
    ctl.process.stdout?.on("data", (data) => String(data).includes(candidate) && order.push(candidate));
    return ctl;
  };
  const lead = (candidate: string) => {
    const election = lab.election(name, candidate);
    void election.lead((term) => {
      order.push(candidate);
      return aborted(term);
    });
    return election;
  };

  await using first = await elect("etcdctl-1");
  await inLine(name, 1);
  const second = lead("ours-1");
  await inLine(name, 2);
  await using third = await elect("etcdctl-2");
  await inLine(name, 3);
  const fourth = lead("ours-2");
  await inLine(name, 4);

  expect((await fourth.candidates()).map(({ candidate }) => candidate)).toEqual([
    "etcdctl-1",
    "ours-1",
    "etcdctl-2",
    "ours-2",
  ]);
  await until(() => order.length === 1);
  expect(await second.leader()).toMatchObject({ candidate: "etcdctl-1", key: first.lines[0] });
  await first.interrupt();
  await until(() => order.length === 2);
  await second.resign();
  await until(() => order.length === 3);
  await third.interrupt();
  await until(() => order.length === 4);
  await fourth.resign();
  expect(order).toEqual(["etcdctl-1", "ours-1", "etcdctl-2", "ours-2"]);
  expect(await lab.line(name)).toEqual([]);
});

test("etcdctl elect --listen sees our leaders, and what they proclaim", async () => {
  const name = lab.newName();
  await using listening = await etcdctl(lab.endpoint, "elect", "--listen", name);
  const election = lab.election(name, "ours");
  void election.lead(aborted);
  const { key } = await until(() => election.term);
  await until(() => listening.lines.length >= 2);
  await election.proclaim("ours, busy");
  await until(() => listening.lines.length >= 4);
  expect(listening.lines).toEqual([key, "ours", key, "ours, busy"]);
  await election.resign();
});

test("etcdctl lock and ours take turns, in the order of their arrival", async () => {
  const name = lab.newName();
  const mutex = lab.mutex(name);
  await using first = await etcdctl(lab.endpoint, "lock", name);
  await until(() => first.lines[0]);
  expect(await mutex.tryAcquire()).toBeUndefined();
  let oursHasIt = false;
  const second = mutex.acquire().then((lock) => {
    oursHasIt = true;
    return lock;
  });
  await inLine(name, 2);
  await using third = await etcdctl(lab.endpoint, "lock", name);
  await inLine(name, 3);
  const fourth = mutex.acquire();
  await inLine(name, 4);
  expect(oursHasIt).toBe(false);
  expect(third.lines).toEqual([]);

  await first.interrupt();
  const lock = await second;
  expect(third.lines).toEqual([]);
  await lock.release();
  expect(await until(() => third.lines[0])).toBe((await lab.line(name))[0]);
  await third.interrupt();
  await (await fourth).release();
  expect(await lab.line(name)).toEqual([]);
});

test("etcdctl lock runs its command only while it has the lock", async () => {
  const name = lab.newName();
  const lock = await lab.mutex(name).acquire();
  await using locking = await etcdctl(lab.endpoint, "lock", name, "echo", "mine");
  await inLine(name, 2);
  expect(locking.lines).toEqual([]);
  await lock.release();
  await until(() => locking.lines.includes("mine"));
});

test("an etcdctl that dies holds the lock for its TTL, and then we have it", async () => {
  const name = lab.newName();
  await using dying = await etcdctl(lab.endpoint, "lock", "--ttl", "2", name);
  await until(() => dying.lines[0]);
  const waiting = lab.mutex(name).acquire({ timeoutMs: 20_000 });
  await inLine(name, 2);
  dying.process.kill("SIGKILL");
  await (await waiting).release();
});
