import { Socket } from "node:net";
import { FaultyPipe, type PipeFaults } from "./faulty-pipe.ts";

/** One way through a proxy. */
export type FaultDirection = "toServer" | "toClient";

export type ConnectionFaults = Readonly<Record<FaultDirection, PipeFaults>>;

/** One accepted connection and its counterpart to the target. It never lets an error of either out. */
export class ProxiedConnection {
  readonly #client: Socket;
  readonly #server = new Socket({ allowHalfOpen: true });
  readonly #target: { readonly host: string; readonly port: number };
  readonly #pipes: Readonly<Record<FaultDirection, FaultyPipe>>;
  #connecting = false;

  /** @param onClose called once, when both ends are closed */
  constructor(
    client: Socket,
    target: { readonly host: string; readonly port: number },
    faults: ConnectionFaults,
    onClose: () => void,
  ) {
    this.#client = client;
    this.#target = target;
    let open = 2;
    const ends = [
      [client, this.#server],
      [this.#server, client],
    ] as const;
    for (const [end, other] of ends) {
      end.setNoDelay(true);
      end.unref();
      end.on("error", () => sever(other));
      end.on("close", () => {
        open--;
        if (open === 0) onClose();
      });
    }
    this.#pipes = {
      toServer: new FaultyPipe(client, this.#server, faults.toServer),
      toClient: new FaultyPipe(this.#server, client, faults.toClient),
    };
    this.#connectUnlessHeld(faults);
  }

  set faults(faults: ConnectionFaults) {
    this.#connectUnlessHeld(faults);
    this.#pipes.toServer.faults = faults.toServer;
    this.#pipes.toClient.faults = faults.toClient;
  }

  /** Breaks both ends by a TCP reset. */
  cut(): void {
    sever(this.#client);
    sever(this.#server);
  }

  halfClose(direction: FaultDirection): void {
    if (this.#connecting) this.#pipes[direction].finish();
  }

  // While nothing may reach the target, neither may an attempt to connect.
  #connectUnlessHeld(faults: ConnectionFaults): void {
    if (this.#connecting || faults.toServer.held || this.#server.destroyed) return;
    this.#connecting = true;
    this.#server.connect(this.#target);
  }
}

// A reset fails, and leaves the socket open, once its writing side was ended; while connecting it waits.
function sever(socket: Socket): void {
  if (socket.writableEnded || socket.connecting) socket.destroy();
  else socket.resetAndDestroy();
}
