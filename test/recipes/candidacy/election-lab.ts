import { randomUUID } from "node:crypto";
import { LeaderElection, type LeaderElectionOptions, Mutex, type MutexOptions } from "../../../recipes/index.ts";
import { type EtcdClient, prefix } from "../../../src/index.ts";
import type { EtcdCluster, StartEtcdOptions } from "../../../testing/index.ts";
import { Metrics, requestsServed } from "../../support/gateway/index.ts";
import { Recorder } from "../../support/recorder.ts";
import { RegistryLab } from "../../support/registry-lab.ts";

/**
 * An etcd of its own, and the elections and locks that a test makes on it; all are closed at the end, or by `clear()`.
 */
export class ElectionLab implements AsyncDisposable {
  readonly #lab: RegistryLab;

  private constructor(lab: RegistryLab) {
    this.#lab = lab;
  }

  static async start(options?: StartEtcdOptions): Promise<ElectionLab> {
    return new ElectionLab(await RegistryLab.start(options));
  }

  get cluster(): EtcdCluster {
    return this.#lab.cluster;
  }

  get etcd(): EtcdClient {
    return this.#lab.etcd;
  }

  get endpoint(): string {
    return this.#lab.endpoint;
  }

  client(...args: Parameters<RegistryLab["client"]>): EtcdClient {
    return this.#lab.client(...args);
  }

  /** A name of its own. */
  newName(): string {
    return `/test/${randomUUID()}`;
  }

  election(name: string, candidate: string, options: LeaderElectionOptions = {}): LeaderElection {
    const election = new LeaderElection(name, candidate, { client: this.etcd, ...options });
    this.#lab.also(() => election.close());
    return election;
  }

  mutex(name: string, options: MutexOptions = {}): Mutex {
    const mutex = new Mutex(name, { client: this.etcd, ...options });
    this.#lab.also(() => mutex.close());
    return mutex;
  }

  /** The keys below a name, in the order of the line. */
  async line(name: string): Promise<string[]> {
    const { kvs } = await this.etcd.range(prefix(`${name}/`));
    return [...kvs].sort((a, b) => a.createRevision - b.createRevision).map(({ key }) => key);
  }

  /** One of etcd's metrics. */
  async metric(name: string): Promise<number> {
    return (await Metrics.read(this.endpoint)).value(name);
  }

  /** How many txns etcd was asked for. */
  async txns(): Promise<number> {
    return (await requestsServed(this.endpoint)).Txn ?? 0;
  }

  also(close: () => Promise<void>): void {
    this.#lab.also(close);
  }

  clear(): Promise<void> {
    return this.#lab.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lab[Symbol.asyncDispose]();
  }
}

const names = ["elected", "lost", "resigned", "overdue", "warning", "failed"];

export function recordElection(election: LeaderElection): Recorder {
  return new Recorder(election, names);
}
