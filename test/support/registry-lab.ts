import { randomUUID } from "node:crypto";
import {
  type ServiceInstance,
  ServiceRegister,
  type ServiceRegisterOptions,
  SubscribeService,
  type SubscribeServiceOptions,
} from "../../recipes/index.ts";
import { EtcdClient, type EtcdClientOptions } from "../../src/index.ts";
import { type EtcdCluster, type StartEtcdOptions, startEtcd } from "../../testing/index.ts";

/**
 * An etcd of its own, and whatever tests make on it; all of it is closed at the end, or after each test by `clear()`.
 */
export class RegistryLab implements AsyncDisposable {
  readonly cluster: EtcdCluster;
  /** For looking and for doing by hand what people do with etcdctl. */
  readonly etcd: EtcdClient;
  readonly #made: (() => Promise<void>)[] = [];

  private constructor(cluster: EtcdCluster) {
    this.cluster = cluster;
    this.etcd = new EtcdClient({ endpoints: cluster.endpoints });
  }

  static async start(options?: StartEtcdOptions): Promise<RegistryLab> {
    return new RegistryLab(await startEtcd(options));
  }

  get endpoint(): string {
    return this.cluster.endpoints[0] as string;
  }

  /** A prefix of its own. */
  newPrefix(): string {
    return `/test/${randomUUID()}/`;
  }

  client(options: EtcdClientOptions = {}): EtcdClient {
    const client = new EtcdClient({ endpoints: this.cluster.endpoints, ...options });
    this.#made.push(() => client.close());
    return client;
  }

  register(key: string, address: string, ttl: number, options: ServiceRegisterOptions = {}): ServiceRegister {
    const register = new ServiceRegister(key, address, ttl, { client: this.etcd, ...options });
    this.#made.push(() => register.close());
    return register;
  }

  subscribe<Metadata = unknown>(
    prefix: string,
    options: SubscribeServiceOptions<Metadata> = {},
  ): SubscribeService<Metadata> {
    const services = new SubscribeService<Metadata>(prefix, { client: this.etcd, ...options });
    this.#made.push(() => services.close());
    return services;
  }

  /** Registers something to be closed with the rest. */
  also(close: () => Promise<void>): void {
    this.#made.push(close);
  }

  /** Closes all that was made, the newest first. */
  async clear(): Promise<void> {
    for (const close of this.#made.splice(0).reverse()) await close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clear();
    await this.etcd.close();
    await this.cluster.close();
  }
}

export function addressesOf(list: readonly ServiceInstance[]): string[] {
  return list.map(({ address }) => address);
}
