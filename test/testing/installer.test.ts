import { createHash } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findEtcd } from "../../testing/index.ts";
import { run } from "../support/child.ts";
import { pathOf } from "../support/path-of.ts";

const installer = fileURLToPath(new URL("../../scripts/etcd-recipes-etcd.mjs", import.meta.url));
const version = "3.5.33";
const architecture = process.arch === "x64" ? "amd64" : process.arch;
const release = `etcd-v${version}-${process.platform}-${architecture}`;
const archive = `${release}.${process.platform === "darwin" ? "zip" : "tar.gz"}`;

let folder: string;
let server: Server;
let mirror: string;
/** What the mirror serves, by path. */
let files: Map<string, Buffer>;
let requests: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "installer-"));
  files = new Map();
  requests = [];
  server = createServer((request, response) => {
    requests.push(request.url ?? "");
    const file = files.get(request.url ?? "");
    response.writeHead(file === undefined ? 404 : 200).end(file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
});

/** Lets the mirror serve a release whose etcd is a script that prints its version. */
async function publish({ received = version } = {}): Promise<void> {
  const content = join(folder, release);
  await mkdir(content, { recursive: true });
  for (const name of ["etcd", "etcdctl"]) {
    await writeFile(join(content, name), `#!/bin/sh\necho "etcd Version: ${received}"\n`);
    await chmod(join(content, name), 0o755);
  }
  const pack = process.platform === "darwin" ? ["zip", "-qr"] : ["tar", "-czf"];
  await run(pack[0] as string, [pack[1] as string, archive, release], { cwd: folder });
  const packed = await readFile(join(folder, archive));
  const sum = createHash("sha256").update(packed).digest("hex");
  files.set(`/v${version}/${archive}`, packed);
  files.set(`/v${version}/SHA256SUMS`, Buffer.from(`${"0".repeat(64)}  another.zip\n${sum}  ${archive}\n`));
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const downloadTools = ["curl", "tar", "gzip"];

/** Runs the installer with a PATH on which there is nothing but what is named, so no package manager either. */
async function install(args: string[] = [], { program = installer, tools = downloadTools } = {}): Promise<Outcome> {
  const env = {
    PATH: await pathOf(join(folder, "bin"), tools),
    XDG_CACHE_HOME: join(folder, "cache"),
    ETCD_DOWNLOAD_URL: mirror,
  };
  try {
    return { code: 0, ...(await run(process.execPath, [program, ...args], { env })) };
  } catch (error) {
    return error as Outcome & Error;
  }
}

function cached(): Promise<string[]> {
  return readdir(join(folder, "cache/etcd-recipes"));
}

const place = () => join(folder, "cache/etcd-recipes", version, "etcd");

test("installs etcd and etcdctl from a mirror into the cache, where findEtcd finds them", async () => {
  await publish();
  const { code, stdout } = await install();
  expect(code).toBe(0);
  expect(stdout).toContain(`installed etcd ${version}: ${place()}`);
  expect(await readdir(join(place(), ".."))).toEqual(["etcd", "etcdctl"]);
  expect(await findEtcd({ XDG_CACHE_HOME: join(folder, "cache") })).toEqual({ path: place(), version });
});

test("downloads nothing when an etcd is there, unless it is forced", async () => {
  await publish();
  await install();
  requests = [];
  expect((await install()).stdout).toContain("is there");
  expect((await install(["--version", version])).stdout).toContain("is there");
  expect(requests).toEqual([]);
  expect((await install(["--force"])).code).toBe(0);
  expect(requests).toEqual([`/v${version}/SHA256SUMS`, `/v${version}/${archive}`]);
  expect(await cached()).toEqual([version]);
  expect(await readdir(join(place(), ".."))).toEqual(["etcd", "etcdctl"]);
});

test("--print puts nothing but the path on stdout, also when called through a link", async () => {
  await publish();
  const link = join(folder, "etcd-recipes-etcd");
  await symlink(installer, link);
  expect(await install(["--print"], { program: link })).toMatchObject({ code: 0, stdout: `${place()}\n` });
});

test("refuses an archive whose checksum is not the release's, and leaves nothing", async () => {
  await publish();
  files.set(`/v${version}/${archive}`, Buffer.from("something else"));
  const { code, stderr } = await install();
  expect(code).toBe(1);
  expect(stderr).toMatch(/^refused: the SHA-256 of .* is [0-9a-f]{64}, its release says [0-9a-f]{64}\n$/);
  expect(await cached()).toEqual([]);
});

test("refuses an archive that the release's checksums do not name", async () => {
  await publish();
  files.set(`/v${version}/SHA256SUMS`, Buffer.from(`${"0".repeat(64)}  another.zip\n`));
  expect(await install()).toMatchObject({ code: 1, stderr: expect.stringContaining("does not name") });
  expect(await cached()).toEqual([]);
});

test("does not keep a binary that is another version", async () => {
  await publish({ received: "3.5.1" });
  expect(await install()).toMatchObject({ code: 1, stdout: expect.stringContaining("is another one") });
  expect(await cached()).toEqual([]);
});

test("where nothing can be reached, one sentence says what to do", async () => {
  server.closeAllConnections();
  server.close();
  const { code, stdout, stderr } = await install();
  expect(code).toBe(1);
  expect(stdout).toContain("cannot be downloaded");
  for (const way of ["brew install etcd", "docker compose up", "ETCD_BIN"]) expect(stderr).toContain(way);
  expect(stderr.trim().split("\n")).toHaveLength(1);
});

test("without curl it says so", async () => {
  expect(await install([], { tools: ["tar"] })).toMatchObject({ code: 1, stdout: expect.stringContaining("no curl") });
});

test("two at once both succeed and leave one whole etcd", async () => {
  await publish();
  const outcomes = await Promise.all([install(["--print"]), install(["--print"]), install(["--print"])]);
  expect(outcomes.map(({ code, stdout }) => [code, stdout])).toEqual(Array(3).fill([0, `${place()}\n`]));
  expect(await cached()).toEqual([version]);
  expect(await readdir(join(place(), ".."))).toEqual(["etcd", "etcdctl"]);
});

test("several at once that install again what is there succeed, and leave one whole etcd", async () => {
  await publish();
  await install(["--print"]);
  const force = () => install(["--print", "--force"]);
  const outcomes = await Promise.all([force(), force(), force(), force()]);
  expect(outcomes.map(({ code, stdout }) => [code, stdout])).toEqual(Array(4).fill([0, `${place()}\n`]));
  expect(await cached()).toEqual([version]);
  expect(await readdir(join(place(), ".."))).toEqual(["etcd", "etcdctl"]);
});

test("a version or an option that makes no sense is refused by name", async () => {
  const [version, option, help] = [["--version", "latest"], ["--verzion"], ["--help"]];
  expect(await install(version)).toMatchObject({ code: 1, stderr: expect.stringContaining('"latest"') });
  expect(await install(option)).toMatchObject({ code: 1, stderr: expect.stringContaining("--verzion") });
  expect(await install(help)).toMatchObject({ code: 0, stdout: expect.stringContaining("ETCD_DOWNLOAD_URL") });
});
