import { expect, test } from "vitest";
import { PointReads, RangeCounts } from "../../../src/kv/index.ts";
import { CloseListeners, MultiplexedMirror } from "../../../src/watch/index.ts";
import { WatchHub } from "../../../src/watch/watch-hub.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ScriptedProtocol } from "../../support/scripted-protocol.ts";

test("an etcd that is compacted again and again under a mirror is not listed in a loop", async () => {
  const clock = new FakeClock();
  const scripted = new ScriptedProtocol();
  const runtime = { clock, random: () => 0.5 };
  const { protocol } = scripted;
  const hub = new WatchHub(protocol, 2_000, runtime);
  const reads = new PointReads(protocol, clock);
  const counts = new RangeCounts(protocol, clock);
  const closing = new CloseListeners();
  const mirror = new MultiplexedMirror(
    { hub, protocol, reads, counts, runtime, closing },
    { start: Buffer.from("a") },
    {},
  );
  let answered = 0;
  for (let passed = 0; passed < 60_000; passed += 10) {
    await clock.pass(10);
    if (scripted.txns.length > 0) scripted.prove(0);
    const stream = scripted.streams.at(-1);
    if (!stream || stream.closed || stream.created.length === 0 || answered === scripted.streams.length) continue;
    answered = scripted.streams.length;
    stream.answer({ created: true });
    stream.answer({ canceled: true, compactRevision: 10_000 });
  }
  // With full jitter up to 5 s: about one list in 2.5 s.
  expect(scripted.ranges).toBeGreaterThan(10);
  expect(scripted.ranges).toBeLessThan(60);
  await mirror.close();
});
