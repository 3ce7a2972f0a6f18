import { type EtcdClient, prefix } from "../../../recipes/index.ts";

/**
 * Follows what etcd did to the election and to the records that leaders write, and says which writes were of a leader
 * that did not lead at that revision: there must be none.
 */
export class TermHistory implements AsyncDisposable {
  /** One line for each write that a leader of the past got through. */
  readonly stale: string[] = [];
  writes = 0;
  readonly #watch: ReturnType<EtcdClient["watch"]>;
  readonly #candidates = new Map<string, number>();
  readonly #following: Promise<void>;

  /** From the beginning: nothing may have been written yet. */
  constructor(etcd: EtcdClient) {
    // One watch, so that both come in etcd's order.
    this.#watch = etcd.watch(prefix("/"), { startRevision: 1 });
    this.#following = this.#follow();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watch.close();
    await this.#following;
  }

  async #follow(): Promise<void> {
    for await (const batch of this.#watch) {
      if (batch.type !== "events") continue;
      for (const event of batch.events) {
        const { key } = event.kv;
        if (key.startsWith("/leader/")) {
          if (event.type === "put") this.#candidates.set(key, event.kv.createRevision);
          else this.#candidates.delete(key);
        } else if (event.type === "put" && /^\/publictest\/(progress\/|scheduler$)/.test(key)) {
          this.#check(key, event.kv.modRevision, JSON.parse(event.kv.text));
        }
      }
    }
  }

  #check(key: string, revision: number, { token, state }: { token: number; state?: string }): void {
    this.writes++;
    const leads = Math.min(...this.#candidates.values());
    if (token !== leads) this.stale.push(`${key} ${state} at ${revision} under ${token}, when ${leads} led`);
  }
}
