import { setTimeout as sleep } from "node:timers/promises";
import { defaultClient, setDefaultClient } from "etcd-recipes";
import { type EtcdCluster, type EtcdMember, startEtcd } from "etcd-recipes/testing";
import { printable } from "../printable.ts";
import type { Journal } from "./journal.ts";

const lookEveryMs = 250;

/** The etcd that the demo runs on. */
export interface DemoEtcd extends AsyncDisposable {
  readonly endpoints: readonly string[];
  /** Three members of its own, whose processes the demo may break; undefined on an etcd that it did not start. */
  readonly own: OwnEtcd | undefined;
}

/** The cluster that `ETCD_ENDPOINTS` names, else one of its own. It becomes the default client's in this process. */
export async function openEtcd(journal: Journal, env: NodeJS.ProcessEnv): Promise<DemoEtcd> {
  if (env.ETCD_ENDPOINTS) {
    const endpoints = env.ETCD_ENDPOINTS.split(",").map((endpoint) => endpoint.trim());
    const { version } = await defaultClient().status();
    journal.log("etcd", `uses ETCD_ENDPOINTS: etcd ${printable(version)} at ${printable(endpoints.join(", "))}`);
    journal.log("etcd", "it is not ours: its members are left alone, that act is left out");
    return { endpoints, own: undefined, [Symbol.asyncDispose]: async () => {} };
  }
  journal.log("etcd", "starts a cluster of three members");
  const cluster = await startEtcd({ members: 3 });
  const { endpoints, version } = cluster;
  // The acts take members away, on a machine that has the whole engine to run.
  setDefaultClient({ endpoints, requestTimeoutMs: 30_000 });
  journal.log("etcd", `etcd ${version} at ${endpoints.join(", ")}`);
  const own = new OwnEtcd(cluster, journal);
  return { endpoints, own, [Symbol.asyncDispose]: () => own.close() };
}

/** The demo's own cluster, and who leads it. */
export class OwnEtcd {
  readonly #cluster: EtcdCluster;
  readonly #journal: Journal;
  readonly #closing = new AbortController();
  readonly #following: Promise<void>;
  #leader: EtcdMember | undefined;

  constructor(cluster: EtcdCluster, journal: Journal) {
    this.#cluster = cluster;
    this.#journal = journal;
    this.#following = this.#followLeader();
  }

  get members(): readonly EtcdMember[] {
    return this.#cluster.members;
  }

  /** The member that leads, if that is known and it still runs. */
  get leader(): EtcdMember | undefined {
    return this.#leader?.state === "running" ? this.#leader : undefined;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#following;
    await this.#cluster.close();
  }

  async #followLeader(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const leader = await this.#cluster.leader({ timeoutMs: lookEveryMs }).catch(() => undefined);
      if (leader && leader !== this.leader) this.#journal.log("etcd", `member ${leader.name} leads`);
      if (leader) this.#leader = leader;
      await sleep(lookEveryMs, undefined, { signal }).catch(() => {});
    }
  }
}
