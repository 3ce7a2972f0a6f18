import { once } from "node:events";
import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { type Frame, flag, settings, type } from "./http2-frames.ts";
import { until } from "./until.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** One connection of a client, as a server sees it that sends what the script says, and nothing by itself. */
export class ScriptedPeer {
  readonly socket: Socket;
  /** Frames that no one has asked for yet. */
  #frames: Frame[] = [];
  readonly #watchers = new Set<() => void>();
  #bytes = Buffer.alloc(0);
  #begun = false;
  #owed = 0;
  #greeted = false;
  ended = false;
  /** Acknowledges settings, as every server does. */
  polite = true;
  /** What the script does with each frame, in place of asking for it. */
  onFrame: ((frame: Frame) => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => {});
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("close", () => {
      this.ended = true;
    });
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
    this.#greeted = true;
    for (; this.#owed > 0; this.#owed--) this.socket.write(settingsAck);
  }

  /** The next frame of this type; those before it are passed over. */
  next(frameType: number): Promise<Frame> {
    return this.when(() => this.take(frameType), `a frame of type ${frameType}`);
  }

  /** Waits until a condition holds, looking at it with each frame that comes. */
  async when<T>(condition: () => T | undefined | false, message = "the condition holds"): Promise<T> {
    const found = condition();
    if (found) return found;
    return new Promise((resolve, reject) => {
      const look = () => {
        const value = condition();
        if (value) settle(() => resolve(value));
      };
      const settle = (how: () => void) => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        how();
      };
      const frames = () =>
        this.#frames
          .slice(-20)
          .map(({ type: frameType, id }) => `${frameType} of ${id}`)
          .join(", ");
      const fail = () =>
        settle(() => reject(new Error(`not within ${LIMIT_MS} ms: ${message}; there are ${frames()}`)));
      const timer = setTimeout(fail, LIMIT_MS);
      this.#watchers.add(look);
    });
  }

  /** The oldest frame of this type, if there is one. */
  take(frameType: number): Frame | undefined {
    const index = this.#frames.findIndex((it) => it.type === frameType);
    return index < 0 ? undefined : this.#frames.splice(index, 1)[0];
  }

  /** All frames of this type. */
  takeAll(frameType: number): Frame[] {
    const taken = this.#frames.filter((it) => it.type === frameType);
    this.#frames = this.#frames.filter((it) => it.type !== frameType);
    return taken;
  }

  count(frameType: number): number {
    return this.#frames.filter((it) => it.type === frameType).length;
  }

  #take(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (!this.#begun) {
      if (this.#bytes.length < preface.length) return;
      // Such as the handshake of TLS: there are no frames to come.
      if (this.#bytes.toString("latin1", 0, preface.length) !== preface) return;
      this.#bytes = this.#bytes.subarray(preface.length);
      this.#begun = true;
    }
    for (;;) {
      if (this.#bytes.length < 9) break;
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) break;
      const [frameType, flags] = [this.#bytes[3] as number, this.#bytes[4] as number];
      const payload = Buffer.from(this.#bytes.subarray(9, 9 + length));
      const id = this.#bytes.readUInt32BE(5);
      this.#bytes = this.#bytes.subarray(9 + length);
      const frame: Frame = { type: frameType, flags, id, payload };
      if (this.onFrame) this.onFrame(frame);
      else this.#frames.push(frame);
      if (this.polite && frameType === type.SETTINGS && flags === 0) {
        // Its own settings come first.
        this.#owed++;
        if (this.#greeted) this.send();
      }
    }
    for (const look of [...this.#watchers]) look();
  }
}

/** How long a frame is waited for. */
const LIMIT_MS = 10_000;
const settingsAck = Buffer.from([0, 0, 0, type.SETTINGS, flag.ACK, 0, 0, 0, 0]);

/** Listens, and leaves what is said on each connection to the test. */
export class ScriptedServer implements AsyncDisposable {
  readonly peers: ScriptedPeer[] = [];
  /** What the script does with each connection, in place of accepting it. */
  onPeer: ((peer: ScriptedPeer) => void) | undefined;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** @param where a path for a unix socket */
  static async start(where: string | ListenOptions = { port: 0, host: "127.0.0.1" }): Promise<ScriptedServer> {
    const server = createServer();
    const scripted = new ScriptedServer(server);
    server.on("connection", (socket) => {
      const peer = new ScriptedPeer(socket);
      scripted.peers.push(peer);
      scripted.onPeer?.(peer);
    });
    server.listen(where);
    await once(server, "listening");
    return scripted;
  }

  get target(): { readonly host: string; readonly port: number } {
    const { address: host, port } = this.#server.address() as AddressInfo;
    return { host, port };
  }

  /** The connection that was made last. */
  async accept(count = 1): Promise<ScriptedPeer> {
    await until(() => this.peers.length >= count, { message: `connection ${count}` });
    return this.peers[count - 1] as ScriptedPeer;
  }

  /** The same, with the settings exchanged. */
  async greet(...pairs: readonly (readonly [id: number, value: number])[]): Promise<ScriptedPeer> {
    const peer = await this.accept();
    peer.send(settings(...pairs));
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.peers) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
