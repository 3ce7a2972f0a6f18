import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { allKeys, EtcdClient } from "../../src/index.ts";
import { releasePorts, takePort } from "../../testing/free-ports.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";

/**
 * What a reader of the documentation has around the snippets: an etcd, one with TLS and users, and a service to call.
 */
export class ReadersWorld implements AsyncDisposable {
  readonly etcd: EtcdClient;
  readonly #cluster: EtcdCluster;
  readonly #secure: EtcdCluster;
  readonly #service = createServer((request, response) => {
    this.requests.push(request.url ?? "");
    // The first answer to a call is that of a server in trouble.
    const isFirst = this.requests.filter((url) => url === request.url).length === 1;
    response.writeHead(isFirst && /^\/(run|hello)$/.test(request.url ?? "") ? 503 : 200).end("done");
  });
  /** What the service was asked for. */
  requests: string[] = [];

  /** Of the service that a snippet is. */
  readonly #freePort: number;

  private constructor(cluster: EtcdCluster, secure: EtcdCluster, freePort: number) {
    this.#cluster = cluster;
    this.#secure = secure;
    this.#freePort = freePort;
    this.etcd = new EtcdClient({ endpoints: cluster.endpoints });
  }

  static async open(): Promise<ReadersWorld> {
    const etcds = [startEtcd(), startEtcd({ tls: true, auth: true })] as const;
    const [cluster, secure, port] = await Promise.all([...etcds, takePort()]);
    const world = new ReadersWorld(cluster, secure, port);
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
      "const port = 8080": `const port = ${this.#freePort}`,
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
    releasePorts([this.#freePort]);
    await Promise.all([this.#cluster.close(), this.#secure.close()]);
  }
}
