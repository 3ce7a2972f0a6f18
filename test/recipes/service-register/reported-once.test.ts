import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { EtcdClient, type EtcdClientOptions, type KeyValue, type TxnAnswer } from "../../../src/index.ts";
import { keyFeedsOf, setKeyFeeds } from "../../../src/internal/key-feeds.ts";
import { Recorder, registerEvents } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** Holds back what comes through it until it is opened again. */
class Gate {
  #opened = Promise.resolve();
  open = () => {};

  close(): void {
    this.#opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }

  pass(): Promise<void> {
    return this.#opened;
  }
}

/** A real client, of which the answers to reads, or the news of keys that are followed, can be late. */
class LateClient extends EtcdClient {
  readonly reads = new Gate();
  readonly news = new Gate();
  readonly txns = new Gate();
  held = 0;

  constructor(options: EtcdClientOptions) {
    super(options);
    const feeds = keyFeedsOf<KeyValue>(this);
    setKeyFeeds(this, {
      get openStream() {
        return feeds.openStream;
      },
      onClosed: (listener) => feeds.onClosed(listener),
      follow: (key, state, listener) =>
        feeds.follow(key, state, {
          onKey: (...news) => void this.news.pass().then(() => listener.onKey(...news)),
          onLive: () => listener.onLive(),
          onStale: (error) => listener.onStale(error),
          onEnd: (error) => listener.onEnd(error),
        }),
    });
  }

  override async get(...args: Parameters<EtcdClient["get"]>): Promise<KeyValue | undefined> {
    const answer = await super.get(...args);
    this.held++;
    await this.reads.pass();
    this.held--;
    return answer;
  }

  override async txn(...args: Parameters<EtcdClient["txn"]>): Promise<TxnAnswer> {
    const answer = await super.txn(...args);
    const [{ compare = [], success = [] }] = args;
    const reads = compare.length === 0 && success.every(({ type }) => type === "range");
    if (reads) this.held++;
    await (reads ? this.reads : this.txns).pass();
    if (reads) this.held--;
    return answer;
  }
}

async function registered() {
  const client = new LateClient({ endpoints: lab.cluster.endpoints });
  lab.also(() => client.close());
  const key = `${lab.newPrefix()}m1`;
  const register = lab.register(key, "10.0.0.1:80", 60, { client });
  await register.ready;
  // What its own put set going has come to rest.
  await register.update({ address: "10.0.0.2:80" });
  await register.update({});
  return { client, key, register, recorder: new Recorder(register, registerEvents) };
}

const oneLoss = ["status", "lost", "status", "registered"];

test("a key that was gone and is back before the watch shows it: the loss is reported, once", async () => {
  const { client, key, register, recorder } = await registered();
  client.news.close();
  await lab.etcd.delete(key);
  await register.update({ address: "10.0.0.3:80" });
  expect(recorder.names).toEqual(oneLoss);
  client.news.open();
  await register.update({ address: "10.0.0.4:80" });
  await register.update({});
  expect(recorder.names).toEqual(oneLoss);
});

test("a read from before the loss does not count as being back", async () => {
  const { client, key, register, recorder } = await registered();
  client.reads.close();
  const updated = register.update({});
  await until(() => client.held > 0);
  await lab.etcd.delete(key);
  await until(() => recorder.of("lost").length === 1);
  client.reads.open();
  await updated;
  await until(async () => (await lab.etcd.get(key)) !== undefined);
  await until(() => register.status === "registered");
  await register.update({ address: "10.0.0.4:80" });
  expect(recorder.names).toEqual(oneLoss);
});

test("what health took out is no loss, also when health is back before the watch shows it, and before etcd has answered", async () => {
  const client = new LateClient({ endpoints: lab.cluster.endpoints });
  lab.also(() => client.close());
  const key = `${lab.newPrefix()}m1`;
  let healthy = true;
  let yes = 0;
  const health = () => {
    if (healthy) yes++;
    return healthy;
  };
  const register = lab.register(key, "10.0.0.1:80", 60, { client, health, healthEverySeconds: 0.1 });
  await register.ready;
  const recorder = new Recorder(register, registerEvents);
  client.news.close();
  client.txns.close();
  healthy = false;
  await until(async () => (await lab.etcd.get(key)) === undefined);
  healthy = true;
  yes = 0;
  // When it is asked once more, its first yes has been heard.
  await until(() => yes === 2);
  client.news.open();
  client.txns.open();
  await until(async () => (await lab.etcd.get(key)) !== undefined);
  await until(() => register.status === "registered");
  expect(recorder.of("lost")).toEqual([]);
});
