import { EtcdClient, type EtcdClientOptions, prefix, type Watch } from "etcd-recipes";
import type { OnEvent, Peer, PeerWatch } from "./peer.ts";

/** This package. */
export class OursPeer implements Peer {
  readonly name: string;
  readonly #etcd: EtcdClient;

  constructor(name: string, options: EtcdClientOptions) {
    this.name = name;
    this.#etcd = new EtcdClient(options);
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#etcd.get(key))?.value;
  }

  put(key: string, value: Uint8Array): Promise<unknown> {
    return this.#etcd.put(key, value);
  }

  async snapshot(below: string): Promise<number> {
    const { kvs } = await this.#etcd.range(prefix(below));
    return kvs.reduce((sum, { key, text }) => sum + key.length + text.length, 0);
  }

  async watch(below: string, onEvent: OnEvent, startRevision?: number): Promise<PeerWatch> {
    const watch = this.#etcd.watch(prefix(below), { startRevision });
    const reading = read(watch, onEvent);
    await watch.ready;
    return { close: () => watch.close().then(() => reading) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#etcd.close();
  }
}

async function read(watch: Watch, onEvent: OnEvent): Promise<void> {
  for await (const { events } of watch) for (const { kv } of events) onEvent(kv.key, kv.text);
}
