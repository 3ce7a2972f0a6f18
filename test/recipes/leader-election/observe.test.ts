import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { LeaderElection, LeaderInfo, Term } from "../../../recipes/index.ts";
import { onAbort } from "../../../src/internal/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";
import { ElectionLab } from "../candidacy/election-lab.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));
const names = (items: readonly (LeaderInfo | undefined)[]) => items.map((leader) => leader?.candidate);

async function leads(election: LeaderElection): Promise<Term> {
  void election.lead(aborted).catch(() => {});
  return until(() => election.term);
}

test("observe() yields first what is, then each leader, each value and that there is no leader", async () => {
  const name = lab.newName();
  const watching = lab.election(name, "watcher");
  const seen = record(watching.observe());
  await until(() => seen.items.length === 1);
  const a = lab.election(name, "a");
  const b = lab.election(name, "b");
  const term = await leads(a);
  await until(() => seen.items.length === 2);
  void b.lead(aborted).catch(() => {});
  await until(async () => (await lab.line(name)).length === 2);
  await a.proclaim("a, port 2");
  await until(() => seen.items.length === 3);
  await a.resign();
  await until(() => seen.items.length === 4);
  await b.resign();
  await until(() => seen.items.length === 5);

  expect(names(seen.items)).toEqual([undefined, "a", "a, port 2", "b", undefined]);
  expect(seen.items[1]).toEqual({ candidate: "a", key: term.key, token: term.token, revision: term.token });
  expect(seen.items[2]).toMatchObject({ key: term.key, token: term.token });
  expect(seen.items[2]?.revision).toBeGreaterThan(term.token);
  await watching.close();
  expect(await seen.ended).toEqual({});
});

test("an aborted signal ends observe() with its reason, also before it began", async () => {
  const election = lab.election(lab.newName(), "a");
  const stop = new AbortController();
  const seen = record(election.observe({ signal: stop.signal }));
  await until(() => seen.items.length === 1);
  const reason = new Error("enough");
  stop.abort(reason);
  expect(await seen.ended).toEqual({ error: reason });
  expect(await record(election.observe({ signal: stop.signal })).ended).toEqual({ error: reason });
});

test("the event leader is emitted while it has a listener, and begins anew with what is", async () => {
  const name = lab.newName();
  const watching = lab.election(name, "watcher");
  const first: (string | undefined)[] = [];
  const listener = (leader: LeaderInfo | undefined) => first.push(leader?.candidate);
  watching.on("leader", listener);
  await until(() => first.length === 1);
  const a = lab.election(name, "a");
  await leads(a);
  await until(() => first.length === 2);
  watching.off("leader", listener);
  await a.proclaim("unheard");
  const once: (string | undefined)[] = [];
  watching.once("leader", (leader) => once.push(leader?.candidate));
  await until(() => once.length === 1);
  expect(first).toEqual([undefined, "a"]);
  expect(once).toEqual(["unheard"]);
});

test("the event leader begins anew for who listens after all listeners were removed, again and again", async () => {
  const watching = lab.election(lab.newName(), "watcher");
  const heard: number[] = [];
  for (let round = 0; round < 3; round++) {
    watching.on("leader", () => heard.push(round));
    await until(() => heard.includes(round));
    if (round % 2 === 0) watching.removeAllListeners();
    else watching.removeAllListeners("leader");
  }
  expect(heard).toEqual([0, 1, 2]);
});

test("proclaim() is refused to a candidate that does not lead, and by a term that is over", async () => {
  const name = lab.newName();
  const a = lab.election(name, "a");
  expect((await outcomeOf(a.proclaim("me"))).error).toMatchObject({
    code: "ETCD_FENCED_OUT",
    message: `a does not lead ${name}`,
  });
  const term = await leads(a);
  await lab.etcd.delete(term.key);
  expect((await outcomeOf(term.proclaim("still me"))).error).toMatchObject({ code: "ETCD_FENCED_OUT" });
  expect(await lab.etcd.get(term.key)).toBeUndefined();
});

test("proclaim() does not forget the newest of many, and brings no key back", async () => {
  const name = lab.newName();
  const a = lab.election(name, "a");
  const term = await leads(a);
  await Promise.all(Array.from({ length: 20 }, (_, index) => term.proclaim(`value ${index}`)));
  expect((await a.leader())?.candidate).toBe("value 19");
  // Another client writes the key: the next one still lands.
  await lab.etcd.put(term.key, "by hand", { lease: term.key.slice(name.length + 1) as never });
  await term.proclaim("mine again");
  expect((await a.leader())?.candidate).toBe("mine again");
});
