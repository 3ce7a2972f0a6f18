import { fileURLToPath } from "node:url";
import type { Child } from "./child.ts";
import { runProgramFile } from "./run-program.ts";

const recipes = new URL("../../dist/esm/recipes.js", import.meta.url);

export interface FleetServer {
  readonly name: string;
  readonly address: string;
  readonly child: Child;
}

/** Registered servers in processes of their own, which a test kills and starts; none is left at the end. */
export class ServerFleet implements AsyncDisposable {
  readonly #kind: "grpc" | "http";
  readonly #prefix: string;
  readonly #endpoints: readonly string[];
  readonly #children: Child[] = [];
  #made = 0;

  constructor(kind: "grpc" | "http", prefix: string, endpoints: readonly string[]) {
    this.#kind = kind;
    this.#prefix = prefix;
    this.#endpoints = endpoints;
  }

  /** Resolves when it is registered. */
  async start(): Promise<FleetServer> {
    const name = `s${this.#made++}`;
    const args = [recipes.href, this.#kind, `${this.#prefix}${name}`];
    const child = runProgramFile("registered-server.mjs", args, { ETCD_ENDPOINTS: this.#endpoints.join() });
    this.#children.push(child);
    const address = await Promise.race([child.firstLine, child.ended.then(() => undefined)]);
    if (address === undefined) throw new Error(`${fileURLToPath(recipes)} did not serve: ${child.output}`);
    return { name, address, child };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#children.map((child) => child[Symbol.asyncDispose]()));
  }
}
