import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Sample } from "./measure.ts";

const run = promisify(execFile);
/** Beside the sources, for this runs as build/bench/go-peer.js. */
const source = fileURLToPath(new URL("../../bench/go/peer.go", import.meta.url));
/** Where Debian and Ubuntu unpack `golang-etcd-server-dev`; it has clientv3 under its import path of before modules. */
const packagedSources = "/usr/share/gocode";

export interface GoPeerOptions {
  readonly endpoints: readonly string[];
  /** For https. */
  readonly caFile?: string | undefined;
}

/** Builds `bench/go/peer.go`: some 20 s the first time. @returns its path, or why there is none */
export async function buildGoPeer(): Promise<GoProgram | string> {
  const roots = [...(process.env.GOPATH ?? "").split(":"), packagedSources].filter((root) => root !== "");
  const gopath = roots.find((root) => existsSync(join(root, "src/go.etcd.io/etcd/clientv3")));
  if (!gopath) return "no sources of Go's clientv3: apt install golang-etcd-server-dev has them";
  try {
    await run("go", ["version"]);
  } catch {
    return "no Go toolchain: apt install golang-go has one";
  }
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-go-"));
  const program = new GoProgram(folder);
  try {
    const env = { ...process.env, GOPATH: gopath, GO111MODULE: "off", GOFLAGS: "" };
    await run("go", ["build", "-o", program.path, source], { cwd: folder, env, timeout: 200_000 });
  } catch (error) {
    await program[Symbol.asyncDispose]();
    throw error;
  }
  return program;
}

/** The built program, in a folder that is removed at the end. */
export class GoProgram implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.path = join(folder, "peer");
  }

  start(options: GoPeerOptions): GoPeer {
    return new GoPeer(this.path, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}

/**
 * One process with one client of Go's. It measures itself: the time and the CPU of another process cannot be measured
 * here.
 */
export class GoPeer implements Disposable {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string, { endpoints, caFile }: GoPeerOptions) {
    const env = { ...process.env, ENDPOINTS: endpoints.join(","), CA_FILE: caFile ?? "" };
    const child = spawn(path, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    this.#lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  }

  /** @param command a line that `peer.go` knows */
  async measure<Name extends string>(command: string): Promise<Sample<Name>> {
    this.#process.stdin?.write(`${command}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the peer in Go ended during "${command}"`);
    const answer = JSON.parse(value) as Sample<Name> & { readonly error?: string };
    if (answer.error !== undefined) throw new Error(`the peer in Go: ${answer.error}`);
    return answer;
  }

  [Symbol.dispose](): void {
    this.#process.kill();
  }
}
