// biome-ignore lint/style/noRestrictedImports: a peer that tests talk to, and not what carries our calls
import { Client, credentials, type ServerOptions } from "@grpc/grpc-js";
import type { EtcdClientOptions } from "../../../src/index.ts";
import { type GrpcJsServer, type ServerCall, startGrpcJsServer } from "../grpc-js-server.ts";
import type { EtcdProxy } from "./etcd-proxy.ts";

const raw = (bytes: Buffer) => bytes;

/** What a client of ours calls. */
const methods = [
  ...["KV/Range", "KV/Put", "KV/DeleteRange", "KV/Txn", "Watch/Watch", "Maintenance/Status"],
  ...["Lease/LeaseGrant", "Lease/LeaseRevoke", "Lease/LeaseKeepAlive", "Lease/LeaseTimeToLive"],
];

/** A server of `@grpc/grpc-js` that passes every call on to etcd. */
export async function startGrpcJsProxy(etcd: string, options: ServerOptions = {}): Promise<EtcdProxy> {
  const proxy = new GrpcJsProxy(new URL(etcd).host, options);
  await proxy.start();
  return proxy;
}

class GrpcJsProxy implements EtcdProxy {
  readonly #upstream: Client;
  readonly #options: ServerOptions;
  readonly #servers: GrpcJsServer[] = [];
  #port = 0;

  constructor(address: string, options: ServerOptions) {
    this.#upstream = new Client(address, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
    this.#options = options;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get clientOptions(): EtcdClientOptions {
    return { endpoints: this.endpoint };
  }

  async start(): Promise<void> {
    const handlers = methods.map((method) => {
      const path = `/etcdserverpb.${method}`;
      return [path, (call: ServerCall) => this.#passOn(path, call)] as const;
    });
    const server = await startGrpcJsServer(Object.fromEntries(handlers), this.#options, this.#port);
    this.#port = server.target.port;
    this.#servers.push(server);
  }

  /** The one that goes lets every call finish, and a stream go on for as long as it likes. */
  async reload(): Promise<void> {
    void this.#servers.at(-1)?.shutDown();
    await this.start();
  }

  async crash(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server[Symbol.asyncDispose]();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers.splice(0)) await server[Symbol.asyncDispose]();
    this.#upstream.close();
  }

  #passOn(path: string, call: ServerCall): void {
    const deadline = call.getDeadline();
    const upstream = this.#upstream.makeBidiStreamRequest(path, raw, raw, call.metadata, { deadline });
    call.on("data", (message: Buffer) => upstream.write(message));
    call.on("end", () => upstream.end());
    call.on("error", () => {});
    call.on("cancelled", () => upstream.cancel());
    upstream.on("data", (message: Buffer) => call.write(message));
    upstream.on("error", () => {});
    upstream.on("status", (status) => {
      if (status.code === 0) call.end();
      else call.emit("error", status);
    });
  }
}
