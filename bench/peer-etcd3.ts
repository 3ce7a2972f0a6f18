// biome-ignore lint/style/noRestrictedImports: the peer that we are measured against
import { Etcd3, type Lease } from "etcd3";
import type { OnEvent, Peer, PeerWatch } from "./peer.ts";

/** The package etcd3, by its own high-level client. */
export class Etcd3Peer implements Peer {
  readonly name = "etcd3";
  readonly #etcd: Etcd3;

  constructor(endpoints: readonly string[]) {
    this.#etcd = new Etcd3({ hosts: [...endpoints] });
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    return (await this.#etcd.get(key).buffer()) ?? undefined;
  }

  async put(key: string, value: Uint8Array): Promise<unknown> {
    return this.#etcd.put(key).value(value as Buffer);
  }

  async snapshot(prefix: string): Promise<number> {
    const all = await this.#etcd.getAll().prefix(prefix).strings();
    return Object.entries(all).reduce((sum, [key, text]) => sum + key.length + text.length, 0);
  }

  async watch(prefix: string, onEvent: OnEvent, startRevision?: number): Promise<PeerWatch> {
    const builder = this.#etcd.watch().prefix(prefix);
    const watcher = (startRevision === undefined ? builder : builder.startRevision(String(startRevision))).watcher();
    const report = ({ key, value }: { key: Buffer; value: Buffer }) => onEvent(key.toString(), value.toString());
    watcher.on("put", report).on("delete", report);
    await new Promise<void>((resolve, reject) => {
      watcher.on("connected", () => resolve()).on("error", reject);
    });
    return { close: () => watcher.cancel() };
  }

  /**
   * A lease and a put for each key, as its users register instances.
   *
   * @returns what ends them all
   */
  async register(keys: readonly string[], value: string, ttlSeconds: number): Promise<() => Promise<unknown>> {
    const leases: Lease[] = [];
    await Promise.all(
      keys.map(async (key) => {
        const lease = this.#etcd.lease(ttlSeconds);
        leases.push(lease);
        await lease.put(key).value(value);
      }),
    );
    return () => Promise.all(leases.map((lease) => lease.revoke()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#etcd.close();
  }
}
