import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { EtcdClient, type Mirror, prefix, putOp, type Watch } from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { run } from "../../support/child.ts";
import { collectGarbage } from "../../support/collect-garbage.ts";
import { settled } from "../../support/fake-clock.ts";
import { watcherCounts } from "../../support/gateway/index.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

describe("the end of a watch and of a mirror", () => {
  let cluster: EtcdCluster;
  let proxy: FaultProxy;
  let writer: EtcdClient;
  let reader: EtcdClient;
  let endpoint: string;

  beforeAll(async () => {
    cluster = await startEtcd();
    ({ endpoint } = cluster.member(0));
    proxy = await FaultProxy.start(endpoint);
    writer = new EtcdClient({ endpoints: cluster.endpoints });
  });
  beforeEach(() => {
    reader = new EtcdClient({ endpoints: proxy.endpoint });
  });
  afterEach(async () => {
    await reader.close();
    await proxy.heal();
    await until(async () => (await watcherCounts(endpoint)).watchers === 0);
  });
  afterAll(async () => {
    await writer.close();
    await proxy.close();
    await cluster.close();
  });

  /** Brings a client's link into a state in which something can end. */
  const states: { name: string; enter(things: () => [Watch, Mirror]): Promise<[Watch, Mirror]> }[] = [
    { name: "just called", enter: async (open) => open() },
    {
      name: "while etcd is away from the start",
      enter: async (open) => {
        await proxy.down();
        const opened = open();
        await until(() => opened[1].status === "connecting" && opened[1].staleForMs > 100);
        return opened;
      },
    },
    {
      name: "while a frozen server is dialled",
      enter: async (open) => {
        proxy.blackHole();
        const opened = open();
        await until(() => proxy.connections > 0);
        return opened;
      },
    },
    {
      name: "live",
      enter: async (open) => {
        const opened = open();
        await Promise.all(opened.map(({ ready }) => ready));
        return opened;
      },
    },
    {
      name: "stale",
      enter: async (open) => {
        const opened = open();
        await Promise.all(opened.map(({ ready }) => ready));
        await proxy.down();
        await until(() => opened[1].status === "stale");
        return opened;
      },
    },
    {
      name: "while its history waits for proof",
      enter: async (open) => {
        const opened = open();
        await Promise.all(opened.map(({ ready }) => ready));
        const accepted = proxy.accepted;
        proxy.cut();
        await until(() => proxy.accepted > accepted);
        proxy.blackHole("toClient");
        await until(() => opened[1].status === "stale");
        return opened;
      },
    },
  ];

  for (const { name, enter } of states) {
    const open = (signal?: AbortSignal) => (): [Watch, Mirror] => [
      reader.watch(prefix("ending/"), { signal }),
      reader.mirror(prefix("ending/"), { signal }),
    ];

    test(`${name}: close() finishes the iterations, and ready settles`, async () => {
      const opened = await enter(open());
      const recorded = opened.map((one) => record<unknown>(one as AsyncIterable<unknown>));
      const [watch, mirror] = opened;
      await Promise.all([watch.close(), mirror.close()]);
      for (const { ended } of recorded) expect(await ended).toEqual({});
      expect(mirror.status).toBe("closed");
      for (const { ready } of opened) {
        const outcome = await ready.then(
          () => "ready",
          (error) => error.code,
        );
        expect(["ready", "ETCD_CLOSED"]).toContain(outcome);
      }
      await Promise.all([watch.close(), mirror.close()]);
    });

    test(`${name}: an aborted signal ends the watch with its reason and closes the mirror`, async () => {
      const abort = new AbortController();
      const [watch, mirror] = await enter(open(abort.signal));
      const recorded = { watch: record(watch), mirror: record(mirror) };
      const reason = new Error("enough");
      abort.abort(reason);
      expect(await recorded.watch.ended).toEqual({ error: reason });
      expect(await recorded.mirror.ended).toEqual({});
      expect(mirror.status).toBe("closed");
      if (name !== "live" && name !== "stale" && !name.includes("proof")) {
        await expect(watch.ready).rejects.toBe(reason);
        await expect(mirror.ready).rejects.toBe(reason);
      }
    });

    test(`${name}: the client's close() ends both with ETCD_CLOSED at once`, async () => {
      const [watch, mirror] = await enter(open());
      const recorded = { watch: record(watch), mirror: record(mirror) };
      const closed = reader.close();
      // Not only when the next attempt would fail: that can be seconds away.
      await settled();
      expect([recorded.watch.end, recorded.mirror.end]).not.toContain(undefined);
      for (const { ended } of [recorded.watch, recorded.mirror]) {
        expect((await ended).error).toMatchObject({ code: "ETCD_CLOSED" });
      }
      expect(mirror.status).toBe("failed");
      await closed;
      expect(() => reader.watch("any")).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
      expect(() => reader.mirror("any")).toThrow(expect.objectContaining({ code: "ETCD_CLOSED" }));
    });
  }

  test("the client's close() ends at once what waits to try again", async () => {
    await proxy.down();
    await using hasty = new EtcdClient({ endpoints: proxy.endpoint, requestTimeoutMs: 1 });
    let failures = 0;
    const mirror = hasty.mirror("ending/", { onStatus: (_, error) => error && failures++ });
    const watch = hasty.watch("ending/");
    const recorded = [record<unknown>(mirror), record<unknown>(watch)];
    // By now the next attempts are seconds away.
    await until(() => failures >= 5, { timeoutMs: 20_000 });
    void hasty.close();
    await settled();
    expect(recorded.map(({ end }) => (end?.error as { code?: string })?.code)).toEqual(["ETCD_CLOSED", "ETCD_CLOSED"]);
  });

  test("a signal that was aborted before ends them at once, without I/O", async () => {
    const reason = new Error("before");
    const signal = AbortSignal.abort(reason);
    const accepted = proxy.accepted;
    const watch = reader.watch("any", { signal });
    const mirror = reader.mirror("any", { signal });
    await expect(watch.ready).rejects.toBe(reason);
    await expect(mirror.ready).rejects.toBe(reason);
    await expect(watch[Symbol.asyncIterator]().next()).rejects.toBe(reason);
    expect(await mirror[Symbol.asyncIterator]().next()).toEqual({ done: true, value: undefined });
    expect(proxy.accepted).toBe(accepted);
  });

  test("leaving the loop gives the server its watch back, and the last one the stream", async () => {
    const watches = [reader.watch("ending/a"), reader.watch("ending/a"), reader.watch("ending/a")];
    await Promise.all(watches.map(({ ready }) => ready));
    expect(await watcherCounts(endpoint)).toEqual({ watchers: 3, streams: 1 });
    await writer.put("ending/a", "");
    for (const [index, watch] of watches.entries()) {
      for await (const batch of watch) {
        expect(batch.events).toHaveLength(1);
        break;
      }
      const left = watches.length - 1 - index;
      await until(async () => (await watcherCounts(endpoint)).watchers === left);
      expect((await watcherCounts(endpoint)).streams).toBe(left > 0 ? 1 : 0);
    }
  });

  test("a mirror goes on when a reader leaves it", async () => {
    const mirror = reader.mirror(prefix("ending/"));
    for await (const batch of mirror) {
      expect(batch.type).toBe("snapshot");
      break;
    }
    const iterator = mirror[Symbol.asyncIterator]();
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    const { revision } = await writer.put("ending/b", "");
    await until(() => mirror.revision >= revision);
    await mirror.close();
  });

  test("a watch has one reader, and a second next() while one waits is refused without harm", async () => {
    await using watch = reader.watch("ending/c");
    await watch.ready;
    const iterator = watch[Symbol.asyncIterator]();
    expect(() => watch[Symbol.asyncIterator]()).toThrow(TypeError);
    const first = iterator.next();
    await expect(iterator.next()).rejects.toThrow(TypeError);
    const { revision } = await writer.put("ending/c", "");
    expect((await first).value).toMatchObject({ revision });
  });

  test("what onStatus throws harms no watch", async () => {
    const seen: string[] = [];
    const mirror = reader.mirror(prefix("ending/"), {
      onStatus: (status) => {
        seen.push(status);
        throw new Error("a listener's own");
      },
    });
    await using watch = reader.watch(prefix("ending/"));
    await Promise.all([mirror.ready, watch.ready]);
    proxy.cut();
    const { revision } = await writer.put("ending/d", "");
    expect((await watch[Symbol.asyncIterator]().next()).value).toMatchObject({ revision });
    await until(() => mirror.revision >= revision && mirror.status === "live");
    await mirror.close();
    expect(seen).toEqual(["live", "stale", "live", "closed"]);
  });

  test("a status is final when it is emitted: closing in its listener ends the iteration as the status says", async () => {
    let mirror: Mirror | undefined;
    mirror = reader.mirror(prefix("ending/"), { onStatus: (status) => void (status === "failed" && mirror?.close()) });
    await mirror.ready;
    const { ended } = record(mirror);
    await reader.close();
    expect((await ended).error).toMatchObject({ code: "ETCD_CLOSED" });
    expect(mirror.status).toBe("failed");
  });

  test("2 000 watches, opened and closed in every order, leave nothing behind", async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on("warning", onWarning);
    await using kept = reader.watch("ending/kept");
    await kept.ready;
    for (let round = 0; round < 20; round++) {
      const watches = Array.from({ length: 100 }, (_, number) => reader.watch(`ending/churn/${number}`));
      if (round % 3 === 0) await Promise.all(watches.map(({ ready }) => ready));
      if (round % 3 === 1) await watches[50]?.ready;
      if (round % 2 === 0) watches.reverse();
      await Promise.all(watches.map((watch) => watch.close()));
    }
    await until(async () => (await watcherCounts(endpoint)).watchers === 1);
    expect((await watcherCounts(endpoint)).streams).toBe(1);
    await kept.close();
    process.off("warning", onWarning);
    expect(warnings, "such as that too many listeners were left").toEqual([]);
    await until(async () => (await watcherCounts(endpoint)).streams === 0);
  });

  test("a mirror without a reader keeps no batches", async () => {
    await using mirror = reader.mirror(prefix("ending/quiet/"));
    await mirror.ready;
    const value = Buffer.alloc(10_000);
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    let revision = 0;
    for (let round = 0; round < 50; round++) {
      const success = Array.from({ length: 100 }, (_, number) => putOp(`ending/quiet/${number}`, value));
      ({ revision } = await writer.txn({ success }));
    }
    await until(() => mirror.revision >= revision);
    // 50 MB went by, 1 MB of it is kept.
    await until(() => {
      collectGarbage();
      return process.memoryUsage().arrayBuffers - before < 25_000_000;
    });
    await writer.delete(prefix("ending/quiet/"));
  });

  test("a program whose watches and mirrors are closed, or whose last reader left, ends by itself", async () => {
    const program = new URL("../../programs/watch-and-end.mjs", import.meta.url);
    const { stdout } = await run(process.execPath, [program.pathname, endpoint], { timeout: 20_000 });
    expect(stdout).toContain("nothing is left to do");
  });

  test("a program that stops following before the stream is there ends by itself", async () => {
    const program = new URL("../../programs/closes-while-opening.mjs", import.meta.url);
    const { stdout } = await run(process.execPath, [program.pathname, endpoint], { timeout: 20_000 });
    expect(stdout).toContain("nothing is left to do");
  });
});
