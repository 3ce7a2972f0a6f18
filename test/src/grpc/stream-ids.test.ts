import { describe, expect, test, vi } from "vitest";
import { grpcStatus } from "../../../src/grpc/index.ts";
import { EtcdClient, prefix } from "../../../src/index.ts";
import { FaultProxy, startEtcd } from "../../../testing/index.ts";
import { ask, listen, wireLab } from "../../support/grpc-lab.ts";
import { answer, data, headers, message, settings, trailers, type } from "../../support/http2-frames.ts";
import { record } from "../../support/record.ts";
import { until } from "../../support/until.ts";

// A connection has 2^30 ids for its streams (RFC 9113, section 5.1.1). Here each has the last of them only.

const idsOfConnection = vi.hoisted(() => 10);
const lastId = 2 ** 31 - 1;

vi.mock("../../../src/grpc/exchange-table.ts", async (importOriginal) => {
  const real = await importOriginal<typeof import("../../../src/grpc/exchange-table.ts")>();
  class ExchangeTable extends real.ExchangeTable {
    constructor() {
      super(2 ** 31 - 1 - 2 * (idsOfConnection - 1));
    }
  }
  return { ...real, ExchangeTable };
});

const exhausted = { reason: "exhausted" };
const neverExecuted = { code: grpcStatus.UNAVAILABLE, neverExecuted: true, cause: exhausted };

describe("a connection whose ids are used up", () => {
  test("finishes what it has, takes no more, and ends", async () => {
    await using lab = await wireLab();
    const { stream, messages, ends } = listen(lab.connection);
    stream.write(Buffer.from("request"));
    const calls = Array.from({ length: idsOfConnection - 1 }, () => ask(lab.connection));
    expect(lab.connection).toMatchObject({ status: "draining", reason: exhausted });
    expect(lab.draining).toMatchObject([exhausted]);
    expect((await ask(lab.connection)).failure).toMatchObject(neverExecuted);

    await until(() => lab.peer.count(type.DATA) === idsOfConnection);
    const ids = lab.peer.takeAll(type.HEADERS).map(({ id }) => id);
    expect(ids).toEqual(
      Array.from({ length: idsOfConnection }, (_, index) => lastId - 2 * (idsOfConnection - 1 - index)),
    );
    for (const id of ids.slice(1)) lab.peer.send(answer(id));
    expect((await Promise.all(calls)).map((call) => call.answer)).toEqual(calls.map(() => "answer"));
    lab.peer.send(headers(ids[0] as number), data(ids[0] as number, message("still there")));
    await until(() => messages.length === 1);
    expect(lab.connection.status).toBe("draining");
    lab.peer.send(trailers(ids[0] as number));
    expect(await lab.ended).toMatchObject(exhausted);
    expect(ends).toEqual([undefined]);
  });

  // Also one that the owner has closed lets in what is queued.
  test.each(["open", "closed by its owner"])("opens nothing of what is queued on it (%s)", async (how) => {
    await using lab = await wireLab({}, [[3, 0]]);
    const calls = Array.from({ length: idsOfConnection + 5 }, () => ask(lab.connection));
    if (how !== "open") lab.connection.close();
    lab.peer.send(settings([3, 100]));
    const tooMany = await Promise.all(calls.slice(idsOfConnection));
    expect(tooMany.map(({ failure }) => failure)).toMatchObject(tooMany.map(() => neverExecuted));
    await until(() => lab.peer.count(type.DATA) === idsOfConnection);
    for (const { id } of lab.peer.takeAll(type.HEADERS)) lab.peer.send(answer(id));
    await Promise.all(calls);
    await lab.ended;
    expect(lab.connection.counters.started).toBe(idsOfConnection);
  });
});

test("a client replaces such connections, and no call, no watch and no lease hears of it", async () => {
  await using cluster = await startEtcd();
  await using link = await FaultProxy.start(cluster.member(0).endpoint);
  await using etcd = new EtcdClient({ endpoints: link.endpoint });
  const lease = await etcd.grantLease(5);
  await using watch = etcd.watch(prefix("k/"));
  const { items } = record(watch);
  await watch.ready;
  const count = 120;
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const key = `k/${next++}`;
      await etcd.put(key, key, { lease });
      expect((await etcd.get(key))?.version).toBe(1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  expect(link.accepted).toBeGreaterThan((2 * count) / idsOfConnection / 2);
  const events = () => items.flatMap((item) => item.events);
  await until(() => events().length === count);
  expect(lease.signal.aborted).toBe(false);
  // Each has ended, but for one of calls and one of streams.
  await until(() => link.connections <= 2);
});
