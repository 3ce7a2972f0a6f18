import { afterAll, beforeAll, expect, test } from "vitest";
import { Cancellation, type EtcdClient, LeaderElection, Storage } from "../../../recipes/index.ts";
import { type FakeEtcd, fakeEtcd } from "../../../testing/index.ts";

// Half of a surrogate pair has no UTF-8. The layer refuses it as well, but names its own call, `putOp`.

let etcd: FakeEtcd;
let client: EtcdClient;

beforeAll(async () => {
  etcd = await fakeEtcd();
  client = etcd.client();
});
afterAll(() => etcd?.close());

const takers: readonly [call: string, option: string, take: (text: string) => unknown][] = [
  ["LeaderElection", "candidate", (text) => new LeaderElection("/leader", text, { client })],
  ["proclaim", "value", (text) => new LeaderElection("/leader", "me", { client }).proclaim(text)],
  ["Storage.put", "value", (text) => new Storage({ client }).put("/storage/a", text)],
  ["Cancellation.cancel", "reason", (text) => new Cancellation("/cancel/", { client }).cancel("run-1", text)],
];

test.each(takers)("%s refuses a %s with half of a surrogate pair, by name and at once", async (call, option, take) => {
  for (const text of ["\ud800", "a\udc00", "\udc00\ud800", "\u{1f600}".slice(0, 1)]) {
    const taken = Promise.resolve().then(() => take(text));
    await expect(taken).rejects.toMatchObject({
      code: "ETCD_INVALID_OPTION",
      option,
      message: `${call}: ${option} must be well-formed text: half of a surrogate pair would be U+FFFD`,
    });
  }
});

test.each(["\u00e9", "\u{1f600}", "\ufffd"])("%j is a value, a reason and a candidate", async (text) => {
  await using storage = new Storage({ client });
  await storage.put("/storage/b", text);
  expect(await storage.get("/storage/b")).toBe(text);
  await using cancellation = new Cancellation("/cancel/", { client });
  expect(await cancellation.cancel(`run-${text.codePointAt(0)}`, text)).toBe(true);
  await using election = new LeaderElection("/leader", text, { client });
  await election.lead(async () => expect((await election.leader())?.candidate).toBe(text));
});
