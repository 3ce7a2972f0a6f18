import { expect, test } from "vitest";
import { CompactedError, type EtcdError, HistoryLostError, type KeyValue } from "../../../src/index.ts";
import { keyFeeds } from "../../../src/watch/followed-key.ts";
import type { FollowParts } from "../../../src/watch/index.ts";
import { WatchHub } from "../../../src/watch/watch-hub.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { ScriptedProtocol } from "../../support/scripted-protocol.ts";
import { StoreModel } from "../../support/store-model.ts";

const mark = { createRevision: 9, modRevision: 9, version: 1, lease: "1a" };

function setUp() {
  const clock = new FakeClock();
  const scripted = new ScriptedProtocol();
  const hub = new WatchHub(scripted.protocol, 2_000, { clock, random: () => 0.5 });
  const feeds = keyFeeds({ hub } as FollowParts);
  const heard: (readonly [string | undefined, number])[] = [];
  const ends: EtcdError[] = [];
  let lives = 0;
  const follow = (state: Parameters<typeof feeds.follow>[1]) =>
    feeds.follow("a", state, {
      onKey: (kv: KeyValue | undefined, revision) => void heard.push([kv?.text, revision]),
      onLive: () => void lives++,
      onStale: () => {},
      onEnd: (error) => void ends.push(error),
    });
  /** It is on a stream of its own, whose server is at this revision. */
  const live = async (serverRevision: number) => {
    await settled();
    const watchId = scripted.stream.created.at(-1)?.watchId as string;
    scripted.stream.answer({ created: true, watchId, headerRevision: serverRevision });
    return watchId;
  };
  /** The stream breaks, and another one comes up. */
  const reconnect = async () => {
    scripted.stream.breaks();
    await settled();
    await clock.advance(5_000);
    await settled();
  };
  return { clock, scripted, heard, ends, follow, live, reconnect, lives: () => lives };
}

const store = new StoreModel();
const put = store.execute(20, [{ type: "put", key: "a", value: "v" }]);
const gone = store.execute(21, [{ type: "delete", key: "a" }]);

test("a key is asked for once, from the revision after what is known, also where the server is far ahead", async () => {
  const { scripted, heard, follow, live, lives } = setUp();
  follow({ mark, revision: 9, provenOn: undefined });
  await settled();
  scripted.txns.shift()?.resolve(answer([mark]));
  const watchId = await live(5_000);
  scripted.stream.answer({ watchId, events: put, headerRevision: 5_000 });
  scripted.stream.answer({ watchId, events: gone, headerRevision: 5_000 });
  expect(scripted.stream.created).toMatchObject([{ startRevision: 10 }]);
  expect(scripted.stream.cancelled).toEqual([]);
  expect(lives()).toBe(1);
  expect(heard).toEqual([
    ["v", 20],
    [undefined, 21],
  ]);
});

test("after a reconnect it goes on where the key is at the last revision what it was, and says nothing", async () => {
  const { scripted, heard, ends, follow, live, reconnect, lives } = setUp();
  follow({ mark: undefined, revision: 9, provenOn: undefined });
  await settled();
  scripted.prove(0);
  const watchId = await live(9);
  scripted.stream.answer({ watchId, events: put, headerRevision: 20 });
  await reconnect();
  scripted.txns.shift()?.resolve(answer([{ createRevision: 20, modRevision: 20, version: 1 }]));
  await live(20);
  expect(scripted.stream.created).toMatchObject([{ startRevision: 20 }]);
  expect([heard, ends, lives()]).toEqual([[["v", 20]], [], 2]);
});

for (const [what, kvs] of Object.entries({
  "it is missing": [],
  "it was made at another revision": [{ ...mark, createRevision: 8 }],
  "it was put at another revision": [{ ...mark, modRevision: 8 }],
  "it was put more often": [{ ...mark, version: 2 }],
  "it is on another lease": [{ ...mark, lease: "1b" }],
})) {
  test(`after a reconnect it ends where the history is another one: ${what}`, async () => {
    const { scripted, heard, ends, follow, live, reconnect } = setUp();
    follow({ mark, revision: 9, provenOn: undefined });
    await settled();
    scripted.txns.shift()?.resolve(answer([mark]));
    await live(9);
    await reconnect();
    scripted.txns.shift()?.resolve(answer(kvs));
    await settled();
    expect(ends).toHaveLength(1);
    expect(ends[0]).toBeInstanceOf(HistoryLostError);
    expect(heard).toEqual([]);
  });
}

test("a key that was not there, and was at that revision in another history, ends it", async () => {
  const { scripted, ends, follow } = setUp();
  follow({ mark: undefined, revision: 9, provenOn: undefined });
  await settled();
  scripted.txns.shift()?.resolve(answer([mark]));
  await settled();
  expect(ends[0]).toBeInstanceOf(HistoryLostError);
});

test("what is compacted away before it came ends it", async () => {
  const { scripted, ends, follow, live } = setUp();
  follow({ mark: undefined, revision: 9, provenOn: undefined });
  await settled();
  scripted.prove(0);
  const watchId = await live(9);
  scripted.stream.answer({ watchId, canceled: true, compactRevision: 40 });
  await settled();
  expect(ends[0]).toBeInstanceOf(CompactedError);
});

/** What etcd has of the key at the revision that was asked for. */
function answer(kvs: readonly object[]) {
  const all = kvs.map((kv) => ({ key: "a", keyBytes: Buffer.from("a"), value: Buffer.alloc(0), text: "", ...kv }));
  const response = { type: "range" as const, kvs: all as unknown as KeyValue[], count: all.length, more: false };
  return { revision: 100, succeeded: true, responses: [response] };
}
