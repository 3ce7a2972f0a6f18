import { describe, expect, test } from "vitest";
import type { Protocol } from "../../../src/connection/index.ts";
import { allKeys, type EtcdError } from "../../../src/index.ts";
import { Link, MemoryEtcd, MemoryProtocol, type Network } from "../../../testing/fake-etcd/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// A stream takes some microtasks to open: what ends it may come in each of them.

const MICROTASKS = 12;
const moments = Array.from({ length: MICROTASKS }, (_, index) => index);

async function pass(microtasks: number): Promise<void> {
  for (let passed = 0; passed < microtasks; passed++) await null;
}

/** A client's end of the wire, and how many ways of it are open. */
class Wire {
  readonly link = new Link();
  open = 0;
  readonly #network: Network = {
    request: (arrive, lose) => this.link.request(arrive, lose),
    answer: (arrive, lose) => this.link.answer(arrive, lose),
    connect: async (limitMs, broke) => {
      const path = await this.link.connect(limitMs, broke);
      if (!path) return undefined;
      let isOpen = true;
      this.open++;
      const close = () => {
        if (isOpen) this.open--;
        isOpen = false;
        path.close();
      };
      return { ...path, close };
    },
  };
  readonly protocol = new MemoryProtocol(new MemoryEtcd(), {
    endpoints: [{ url: "http://memory:2379", network: this.#network }],
    notices: { connected: () => this.onConnected(), disconnected: () => {} },
  });
  onConnected = () => {};
}

/** Opens a stream. @returns where its end comes, once for each time */
async function opened(protocol: Protocol, kind: "openWatch" | "openKeepAlive"): Promise<EtcdError[]> {
  const ends: EtcdError[] = [];
  const [endpoint] = protocol.streamEndpoints();
  if (!endpoint) throw new Error("there is one");
  await protocol[kind](endpoint, 2_000, { onMessage: () => {}, onEnd: (error) => void ends.push(error) });
  return ends;
}

describe.each(["openWatch", "openKeepAlive"] as const)("%s", (kind) => {
  test.each(moments)("says once that its connection broke, %s microtasks after it was asked for", async (moment) => {
    const { link, protocol } = new Wire();
    const opening = opened(protocol, kind).catch((error) => [error]);
    await pass(moment);
    link.cut();
    expect(await opening).toMatchObject([{ code: "ETCD_UNAVAILABLE" }]);
    link.join();
    const next = await opened(protocol, kind);
    link.cut();
    expect(next).toMatchObject([{ code: "ETCD_UNAVAILABLE" }]);
  });

  test.each(moments)("says once that its client was closed, %s microtasks after it was asked for", async (moment) => {
    const { protocol } = new Wire();
    const opening = opened(protocol, kind).catch((error) => [error]);
    await pass(moment);
    protocol.close();
    expect(await opening).toMatchObject([{ code: "ETCD_CLOSED" }]);
  });

  test("says once that a listener broke the connection just when it was there", async () => {
    const wire = new Wire();
    wire.onConnected = () => wire.link.cut();
    expect(await opened(wire.protocol, kind).catch((error) => [error])).toMatchObject([{ code: "ETCD_UNAVAILABLE" }]);
    expect(wire.open).toBe(0);
  });

  test.each(moments)("leaves nothing open, whichever way it ended after %s microtasks", async (moment) => {
    for (const end of [({ link }: Wire) => link.cut(), ({ protocol }: Wire) => protocol.close()]) {
      const wire = new Wire();
      const opening = opened(wire.protocol, kind).catch(() => {});
      await pass(moment);
      end(wire);
      await opening;
      expect(wire.open).toBe(0);
    }
  });
});

test.each(moments)("a watch goes on whose stream broke %s microtasks after it was asked for", async (moment) => {
  await using lab = new VirtualLab("opening streams");
  const { etcd, link } = lab.client();
  const connect = link.connect.bind(link);
  let broken = false;
  link.connect = (...args) => {
    link.connect = connect;
    void pass(moment).then(() => {
      link.cut();
      link.join();
      broken = true;
    });
    return connect(...args);
  };
  const texts: string[] = [];
  const follow = async () => {
    for await (const { events } of etcd.watch(allKeys())) texts.push(...events.map(({ kv }) => kv.text));
  };
  const following = follow().catch((error) => error);
  await lab.pass(10_000);
  expect(broken).toBe(true);
  await lab.until(etcd.put("k", "v"));
  await lab.pass(1_000);
  expect(texts).toEqual(["v"]);
  await lab.until(etcd.close());
  expect(await following).toMatchObject({ code: "ETCD_CLOSED" });
});
