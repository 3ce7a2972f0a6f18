import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import type { EtcdClientOptions } from "../../../src/index.ts";
import { releasePorts } from "../../../testing/free-ports.ts";
import type { Program } from "../find-program.ts";
import { KeptProcess } from "../kept-process.ts";
import { until } from "../until.ts";
import type { EtcdProxy } from "./etcd-proxy.ts";

export interface ProgramProxyParts {
  readonly program: Program;
  readonly args: readonly string[];
  /** Its own: it goes with the proxy. */
  readonly folder: string;
  /** Where it listens: it is free again when the proxy is gone. */
  readonly port: number;
  /** Under TLS: by what certificate it is known. @default without TLS */
  readonly tls?: { readonly ca: string };
  /** What makes it begin anew. Without one it is ended by SIGTERM, and started again. */
  readonly reloadSignal?: NodeJS.Signals;
}

/** A proxy that is a program of its own. */
export class ProgramProxy implements EtcdProxy {
  readonly #parts: ProgramProxyParts;
  #process: KeptProcess | undefined;

  private constructor(parts: ProgramProxyParts) {
    this.#parts = parts;
  }

  /** Starts it, and waits until it accepts connections. */
  static async start(parts: ProgramProxyParts): Promise<ProgramProxy> {
    const proxy = new ProgramProxy(parts);
    try {
      await proxy.#start();
    } catch (error) {
      await proxy[Symbol.asyncDispose]();
      throw error;
    }
    return proxy;
  }

  get endpoint(): string {
    const { port, tls } = this.#parts;
    return `${tls ? "https" : "http"}://127.0.0.1:${port}`;
  }

  get clientOptions(): EtcdClientOptions {
    const { tls } = this.#parts;
    return { endpoints: this.endpoint, ...(tls && { tls }) };
  }

  async reload(): Promise<void> {
    const { port, reloadSignal } = this.#parts;
    this.#process?.signal(reloadSignal ?? "SIGTERM");
    if (reloadSignal !== undefined) return;
    await until(async () => !(await accepts(port)), { message: "it does not listen any more" });
    await this.crash();
  }

  async crash(): Promise<void> {
    await this.#process?.kill();
    await this.#start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { port, folder } = this.#parts;
    await this.#process?.kill();
    releasePorts([port]);
    await rm(folder, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const { program, args, folder, port } = this.#parts;
    const log = join(folder, "log");
    this.#process = await KeptProcess.start(program, args, log);
    await until(() => accepts(port), { message: `${program.path} listens, see ${log}` });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      resolve(true);
      socket.destroy();
    });
    socket.once("error", () => resolve(false));
  });
}
