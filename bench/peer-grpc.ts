import { fileURLToPath } from "node:url";
// biome-ignore lint/style/noRestrictedImports: the peer that we are measured against
import { type ChannelCredentials, type ClientDuplexStream, credentials, loadPackageDefinition } from "@grpc/grpc-js";
// biome-ignore lint/style/noRestrictedImports: the peer that we are measured against
import { loadSync } from "@grpc/proto-loader";
import { type OnEvent, type Peer, type PeerWatch, prefixEnd } from "./peer.ts";

interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
}

interface WatchResponse {
  readonly created: boolean;
  readonly watch_id: string;
  readonly events: readonly { readonly kv: KeyValue }[];
}

type Unary<Answer> = (request: object, callback: (error: Error | null, answer: Answer) => void) => unknown;

interface KvStub {
  range: Unary<{ kvs: readonly KeyValue[] }>;
  put: Unary<unknown>;
  close(): void;
}

interface WatchStub {
  watch(): ClientDuplexStream<object, WatchResponse>;
  close(): void;
}

type Service<Stub> = new (address: string, channel: ChannelCredentials) => Stub;

const services = loadPackageDefinition(
  loadSync(fileURLToPath(new URL("../proto/rpc.proto", import.meta.resolve("etcd3"))), {
    keepCase: true,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  }),
).etcdserverpb as unknown as { KV: Service<KvStub>; Watch: Service<WatchStub> };

/** grpc-js with proto-loader and etcd3's .proto files, and nothing else: what it costs at least to build on them. */
export class GrpcPeer implements Peer {
  readonly name = "grpc-js";
  readonly #kv: KvStub;
  readonly #watch: WatchStub;
  readonly #creating: ((id: string) => void)[] = [];
  readonly #watches = new Map<string, OnEvent>();
  #stream: ClientDuplexStream<object, WatchResponse> | undefined;

  constructor(endpoint: string) {
    const { host } = new URL(endpoint);
    this.#kv = new services.KV(host, credentials.createInsecure());
    this.#watch = new services.Watch(host, credentials.createInsecure());
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const { kvs } = await call<{ kvs: readonly KeyValue[] }>((done) => this.#kv.range({ key: Buffer.from(key) }, done));
    return kvs[0]?.value;
  }

  put(key: string, value: Uint8Array): Promise<unknown> {
    return call((done) => this.#kv.put({ key: Buffer.from(key), value }, done));
  }

  async snapshot(prefix: string): Promise<number> {
    const range = { key: Buffer.from(prefix), range_end: Buffer.from(prefixEnd(prefix)) };
    const { kvs } = await call<{ kvs: readonly KeyValue[] }>((done) => this.#kv.range(range, done));
    return kvs.reduce((sum, { key, value }) => sum + key.toString().length + value.toString().length, 0);
  }

  async watch(prefix: string, onEvent: OnEvent, startRevision?: number): Promise<PeerWatch> {
    this.#stream ??= this.#open();
    const stream = this.#stream;
    const range = { key: Buffer.from(prefix), range_end: Buffer.from(prefixEnd(prefix)) };
    const id = await new Promise<string>((resolve) => {
      this.#creating.push((created) => {
        // Its first events can be in the same turn.
        this.#watches.set(created, onEvent);
        resolve(created);
      });
      stream.write({ create_request: { ...range, start_revision: startRevision } });
    });
    return {
      close: async () => {
        this.#watches.delete(id);
        stream.write({ cancel_request: { watch_id: id } });
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.cancel();
    this.#kv.close();
    this.#watch.close();
  }

  #open(): ClientDuplexStream<object, WatchResponse> {
    const stream = this.#watch.watch();
    stream.on("error", () => {});
    stream.on("data", ({ created, watch_id, events }: WatchResponse) => {
      if (created) this.#creating.shift()?.(watch_id);
      const onEvent = this.#watches.get(watch_id);
      if (onEvent) for (const { kv } of events) onEvent(kv.key.toString(), kv.value.toString());
    });
    return stream;
  }
}

function call<Answer>(send: (done: (error: Error | null, answer: Answer) => void) => void): Promise<Answer> {
  return new Promise((resolve, reject) => {
    send((error, answer) => (error ? reject(error) : resolve(answer)));
  });
}
