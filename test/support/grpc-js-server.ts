// biome-ignore lint/style/noRestrictedImports: a peer that tests talk to, and not what carries our calls
import { Server, ServerCredentials, type ServerDuplexStream, type ServerOptions } from "@grpc/grpc-js";

/** A call as the server sees it, with messages that are bytes. A unary one has one message each way. */
export type ServerCall = ServerDuplexStream<Buffer, Buffer>;

export interface GrpcJsServer extends AsyncDisposable {
  readonly target: { readonly host: string; readonly port: number };
  /** Takes no new call; resolves when the last that it has is over. */
  shutDown(): Promise<void>;
}

const raw = (bytes: Buffer) => bytes;

/**
 * Starts a server of `@grpc/grpc-js`.
 *
 * @param methods by their paths
 * @param options the channel options, such as `grpc.max_connection_age_ms`
 */
export async function startGrpcJsServer(
  methods: Readonly<Record<string, (call: ServerCall) => void>>,
  options: ServerOptions = {},
  wantedPort = 0,
): Promise<GrpcJsServer> {
  const server = new Server({ "grpc.max_receive_message_length": -1, ...options });
  for (const [path, handle] of Object.entries(methods)) server.register(path, handle, raw, raw, "bidi");
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${wantedPort}`, ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    target: { host: "127.0.0.1", port },
    shutDown: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}
