import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { allKeys, EtcdClient } from "../../src/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";

/** What a reader of the README has around the snippets: an etcd, one with TLS and users, and a service to call. */
export class ReadersWorld implements AsyncDisposable {
  readonly etcd: EtcdClient;
  readonly #cluster: EtcdCluster;
  readonly #secure: EtcdCluster;
  readonly #service = createServer((request, response) => {
    this.requests.push(request.url ?? "");
    // The first answer to a call is that of a server in trouble.
    const isFirst = this.requests.filter((url) => url === request.url).length === 1;
    response.writeHead(request.url === "/run" && isFirst ? 503 : 200).end("done");
  });
  /** What the service was asked for. */
  requests: string[] = [];

  private constructor(cluster: EtcdCluster, secure: EtcdCluster) {
    this.#cluster = cluster;
    this.#secure = secure;
    this.etcd = new EtcdClient({ endpoints: cluster.endpoints });
  }

  static async open(): Promise<ReadersWorld> {
    const [cluster, secure] = await Promise.all([startEtcd(), startEtcd({ tls: true, auth: true })]);
    const world = new ReadersWorld(cluster, secure);
    world.#service.listen(0, "127.0.0.1");
    await once(world.#service, "listening");
    return world;
  }

  get env(): NodeJS.ProcessEnv {
    return { ETCD_ENDPOINTS: this.#cluster.endpoints.join() };
  }

  get secureEnv(): NodeJS.ProcessEnv {
    return { ETCD_PASSWORD: this.#secure.clientOptions.auth?.password };
  }

  get address(): string {
    return `127.0.0.1:${(this.#service.address() as AddressInfo).port}`;
  }

  /** A snippet with the reader's own addresses and files. */
  adapt(code: string): string {
    const { tls, auth } = this.#secure.clientOptions;
    const own: Readonly<Record<string, string>> = {
      "10.0.0.1:8080": this.address,
      "http://10.0.0.1:2379": this.#cluster.member(0).endpoint,
      "http://10.0.0.2:2379": this.#cluster.member(0).endpoint,
      "https://etcd-0.internal:2379": this.#secure.member(0).endpoint,
      "https://etcd-1.internal:2379": this.#secure.member(0).endpoint,
      "/etc/etcd/ca.pem": tls?.caFile ?? "",
      "/etc/etcd/client.pem": tls?.certFile ?? "",
      "/etc/etcd/client-key.pem": tls?.keyFile ?? "",
      'username: "scheduler"': `username: "${auth?.username}"`,
    };
    return Object.entries(own).reduce((adapted, [theirs, ours]) => adapted.replaceAll(theirs, ours), code);
  }

  /** Nothing is left of the snippet before. */
  async clear(): Promise<void> {
    await this.etcd.delete(allKeys());
    this.requests = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#service.closeAllConnections();
    this.#service.close();
    await this.etcd.close();
    await Promise.all([this.#cluster.close(), this.#secure.close()]);
  }
}
