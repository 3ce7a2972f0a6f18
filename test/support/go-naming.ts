import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run, startChild } from "./child.ts";

const source = fileURLToPath(new URL("../programs/go/naming.go", import.meta.url));
/** Where Debian and Ubuntu unpack `golang-etcd-server-dev`; it has clientv3 under its import path of before modules. */
const packagedSources = "/usr/share/gocode";

/** `test/programs/go/naming.go`, built. */
export interface GoNaming extends AsyncDisposable {
  /** Runs it to its end. @returns what it printed */
  run(endpoint: string, target: string, command: "add" | "list", ...args: string[]): Promise<string>;
  /** Lets it run until the end of the scope; `lines` is what it has printed so far. */
  follow(
    endpoint: string,
    target: string,
    command: "watch" | "resolve",
  ): AsyncDisposable & { readonly lines: readonly string[] };
}

/**
 * Builds it, in a folder of its own and with the user's build cache: some 20 s the first time. @returns or why it
 * cannot
 */
export async function buildGoNaming(): Promise<GoNaming | string> {
  const roots = [...(process.env.GOPATH ?? "").split(":"), packagedSources].filter((root) => root !== "");
  const gopath = roots.find((root) => existsSync(join(root, "src/go.etcd.io/etcd/clientv3/naming/endpoints")));
  if (!gopath) return "no sources of go.etcd.io/etcd/clientv3/naming; apt install golang-etcd-server-dev has them";
  try {
    await run("go", ["version"]);
  } catch {
    return "no Go toolchain; apt install golang-go has one";
  }
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-go-"));
  const binary = join(folder, "naming");
  const env = { ...process.env, GOPATH: gopath, GO111MODULE: "off", GOFLAGS: "" };
  try {
    await run("go", ["build", "-o", binary, source], { cwd: folder, env, timeout: 200_000 });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    async run(...args) {
      const { stdout } = await run(binary, args, { timeout: 30_000 });
      return stdout;
    },
    follow: (...args) => startChild(binary, args),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
