import {
  type CallOptions,
  type ConnectionError,
  type ConnectOptions,
  connect,
  type GrpcConnection,
  type GrpcFailure,
  type Metadata,
} from "../../src/grpc/index.ts";
import type { Fields } from "./http2-frames.ts";
import { type ScriptedPeer, ScriptedServer } from "./scripted-server.ts";

/** How a call ended. */
export interface Outcome {
  readonly failure: GrpcFailure | undefined;
  readonly answer: string | undefined;
  readonly bytes: Buffer | undefined;
  readonly metadata: Metadata | undefined;
}

/** Calls, and waits for the end, whatever it is. */
export function ask(
  connection: GrpcConnection,
  path = "/test.Service/Method",
  body: Uint8Array = Buffer.from("request"),
  options: CallOptions = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    connection.unary(path, body, options, (failure, bytes, metadata) =>
      resolve({ failure, answer: bytes?.toString(), bytes, metadata }),
    );
  });
}

/** The connection of a client to a server that follows a script. */
export interface WireLab extends AsyncDisposable {
  readonly server: ScriptedServer;
  readonly peer: ScriptedPeer;
  readonly connection: GrpcConnection;
  /** Of the connection, once it has ended. */
  readonly ended: Promise<ConnectionError>;
  readonly draining: ConnectionError[];
}

export async function wireLab(
  options: ConnectOptions = {},
  settings: readonly (readonly [id: number, value: number])[] = [],
): Promise<WireLab> {
  const server = await ScriptedServer.start();
  let onEnd: (reason: ConnectionError) => void = () => {};
  const ended = new Promise<ConnectionError>((resolve) => {
    onEnd = resolve;
  });
  const draining: ConnectionError[] = [];
  const dial = connect(server.target, { ...options, onEnd, onDraining: (reason) => draining.push(reason) });
  const peer = await server.greet(...settings);
  const connection = await dial;
  return {
    server,
    peer,
    connection,
    ended,
    draining,
    async [Symbol.asyncDispose]() {
      connection.destroy();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A stream whose messages and end are kept. */
export function listen(connection: GrpcConnection, options: Parameters<GrpcConnection["stream"]>[1] = {}) {
  const messages: string[] = [];
  const ends: (GrpcFailure | undefined)[] = [];
  let drains = 0;
  const stream = connection.stream("/test.Service/Stream", options, {
    onMessage: (message) => messages.push(message.toString()),
    onEnd: (failure) => ends.push(failure),
    onDrain: () => drains++,
  });
  return {
    stream,
    messages,
    ends,
    get drains() {
      return drains;
    },
  };
}

export type { Fields };
