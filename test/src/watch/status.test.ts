import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import {
  EtcdClient,
  type EtcdError,
  prefix,
  type Watch,
  type WatchOptions,
  type WatchStatus,
} from "../../../src/index.ts";
import { type EtcdCluster, FaultProxy, startEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

let cluster: EtcdCluster;
let proxy: FaultProxy;
let reader: EtcdClient;

beforeAll(async () => {
  cluster = await startEtcd();
  proxy = await FaultProxy.start(cluster.member(0).endpoint);
  reader = new EtcdClient({ endpoints: proxy.endpoint });
});
afterAll(async () => {
  await reader?.close();
  await proxy?.close();
  await cluster?.close();
});

function watched(options: WatchOptions = {}) {
  const received: { status: WatchStatus; error: EtcdError | undefined }[] = [];
  const onStatus = (status: WatchStatus, error?: EtcdError) => void received.push({ status, error });
  const watch = reader.watch(prefix("status/"), { ...options, onStatus });
  const refusals = () => received.filter(({ error }) => error?.message.includes("ECONNREFUSED"));
  return { watch, received, statuses: () => received.map(({ status }) => status), refusals };
}

describe("what a watch says of itself", () => {
  test("it is live, stale with the reason while its link is broken, and live again", async () => {
    const { watch, received, statuses } = watched();
    await watch.ready;
    proxy.cut();
    await until(() => received.length === 3);
    expect(statuses()).toEqual(["live", "stale", "live"]);
    expect(received.map(({ error }) => error?.code)).toEqual([undefined, "ETCD_UNAVAILABLE", undefined]);
    await watch.close();
    proxy.cut();
    await reader.get("status/a");
    expect(statuses()).toEqual(["live", "stale", "live"]);
  });

  test.each<[string, WatchOptions]>([
    ["that reads where it begins", {}],
    ["with a start of its own", { startRevision: 1 }],
  ])("one %s says why it is not followed, and is live when it is", async (_, options) => {
    await proxy.down();
    const { watch, statuses, refusals } = watched(options);
    await using _watch = watch;
    await until(() => refusals().length > 0);
    expect(new Set(statuses())).toEqual(new Set(["connecting"]));
    await proxy.heal();
    await watch.ready;
    expect(new Set(statuses())).toEqual(new Set(["connecting", "live"]));
    expect(statuses().at(-1)).toBe("live");
  });

  test("a reason that stays the same is reported once, and to each new watch", async () => {
    await proxy.down();
    const first = watched({ startRevision: 1 });
    await using _first = first.watch;
    await until(() => first.refusals().length > 0);
    const later = watched({ startRevision: 1 });
    await using _later = later.watch;
    await until(() => later.refusals().length > 0);
    expect(first.refusals()).toHaveLength(1);
    await proxy.heal();
    await Promise.all([first.watch.ready, later.watch.ready]);
  });

  test("once it is closed it says no more, also when a listener of another closes it", async () => {
    await proxy.down();
    const received: string[] = [];
    const watches: Watch[] = ["first", "second"].map((name) =>
      reader.watch(prefix("status/"), {
        onStatus() {
          received.push(name);
          for (const watch of watches) void watch.close();
        },
      }),
    );
    await until(() => received.length > 0);
    await proxy.heal();
    await until(() => reader.get("status/a").then(() => true));
    expect(received).toEqual(["first"]);
  });

  afterEach(() => void vi.restoreAllMocks());

  test.each<[string, () => unknown]>([
    [
      "throws",
      () => {
        throw new Error("a listener's own");
      },
    ],
    ["rejects with", () => Promise.reject(new Error("a listener's own"))],
  ])("what the listener %s harms no watch, and is a warning of the process", async (_, onStatus) => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    await using watch = reader.watch(prefix("status/"), { onStatus: onStatus as () => void });
    await using mirror = reader.mirror(prefix("status/"), { onStatus: onStatus as () => void });
    await Promise.all([watch.ready, mirror.ready]);
    const { revision } = await reader.put("status/b", "");
    expect((await watch[Symbol.asyncIterator]().next()).value).toMatchObject({ revision });
    for (const followed of ["watch", "mirror"]) {
      expect(emitWarning.mock.calls).toContainEqual([
        `onStatus of ${followed} prefix "status/" failed: a listener's own`,
        expect.objectContaining({ type: "ListenerFailedError", code: "ETCD_LISTENER_FAILED" }),
      ]);
    }
  });
});
