import { once } from "node:events";
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EtcdClient } from "../../recipes/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "etcd-run-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A CLI with this shell script as its etcd, and a folder of its own for temporary files. */
async function cliWith(name: string, script: string): Promise<{ cli: Cli; temporary: string }> {
  const temporary = join(folder, `${name}-tmp`);
  await mkdir(temporary);
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.5.16"\n${script}\n`);
  await chmod(path, 0o755);
  return { cli: new Cli("127.0.0.1:1", { ...process.env, ETCD_BIN: path, TMPDIR: temporary }), temporary };
}

/** Two ports, one after the other, that are free now. */
async function freePorts(): Promise<number> {
  const first = await listen(0);
  const { port } = first.address() as AddressInfo;
  const second = await listen(port + 1).catch(() => undefined);
  await Promise.all([first, second].map((server) => server && once(server.close(), "close")));
  return second ? port : freePorts();
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

test("etcd run starts an etcd, says where, and takes it and its data away at the end", async () => {
  const port = await freePorts();
  // To etcd they are flags, and end it.
  const cli = new Cli("127.0.0.1:1", { ...process.env, ETCD_NAME: "other", ETCD_DATA_DIR: "/nowhere" });
  await using running = cli.start("etcd", "run", "--port", String(port), "--json");
  const { endpoint, pid, version } = JSON.parse(await running.firstLine);
  expect(endpoint).toBe(`http://127.0.0.1:${port}`);
  expect(version).toMatch(/^3\./);
  await using etcd = new EtcdClient({ endpoints: endpoint });
  await etcd.put("a", "1");
  expect(await cli.run("etcd", "run", "--port", String(port))).toMatchObject({
    code: 1,
    err: `etcd-recipes: port ${port} of 127.0.0.1 is in use; --port names another`,
  });
  running.kill("SIGINT");
  expect(await running.ended).toBe(0);
  await until(() =>
    access(`/proc/${pid}`).then(
      () => false,
      () => true,
    ),
  );
}, 60_000);

test("a data folder that cannot be used ends it with a sentence", async () => {
  const { cli, temporary } = await cliWith("unused", '[ "$1" = --version ] || exit 7');
  const file = join(temporary, "file");
  await writeFile(file, "");
  for (const path of [file, join(file, "below"), "/proc/none"]) {
    const { code, err } = await cli.run("etcd", "run", "--port", String(await freePorts()), "--data-dir", path);
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`^etcd-recipes: --data-dir ${path} cannot be used: E[A-Z]+: .*$`));
  }
});

test.runIf(process.platform === "linux")(
  "a data folder that another etcd uses is named, with its process",
  async () => {
    const data = join(folder, "in-use");
    const cli = new Cli("127.0.0.1:1");
    await using running = cli.start("etcd", "run", "--port", String(await freePorts()), "--data-dir", data, "--json");
    const { pid } = JSON.parse(await running.firstLine);
    expect(await cli.run("etcd", "run", "--port", String(await freePorts()), "--data-dir", data)).toEqual({
      code: 1,
      out: "",
      err: `etcd-recipes: --data-dir ${data} is in use by process ${pid}`,
    });
    running.kill("SIGINT");
    expect(await running.ended).toBe(0);
  },
  60_000,
);

test("an etcd that ends at once ends the command, which no longer waits for it to be ready", async () => {
  const { cli, temporary } = await cliWith("ends", '[ "$1" = --version ] || exit 7');
  const port = await freePorts();
  await using running = cli.start("etcd", "run", "--port", String(port));
  await until(() => running.errors.length > 0);
  await until(() => running.end !== undefined);
  expect(running.end).toBe(1);
  expect(running.errors).toEqual(["etcd-recipes: etcd ended with 7; --verbose prints its log"]);
  expect(await readdir(temporary)).toEqual([]);
});

test("Ctrl-C ends the installation, and nothing is tried instead", async () => {
  const silent = await listen(0);
  const asked = once(silent, "connection");
  const cache = join(folder, "cache");
  const { port } = silent.address() as AddressInfo;
  const { ETCD_BIN: _, ...env } = process.env;
  const cli = new Cli("127.0.0.1:1", {
    ...env,
    // Whatever this machine has, but no etcd.
    PATH: await pathWithout("etcd"),
    XDG_CACHE_HOME: cache,
    TMPDIR: folder,
    ETCD_DOWNLOAD_URL: `http://127.0.0.1:${port}`,
    no_proxy: "127.0.0.1",
  });
  await using running = cli.start("etcd", "run", "--port", String(await freePorts()));
  const [connection] = await asked;
  running.kill("SIGINT");
  expect(await running.ended).toBe(130);
  connection.destroy();
  silent.close();
  expect(running.errors).toEqual([expect.stringMatching(/^downloading /)]);
  expect(await readdir(join(cache, "etcd-recipes"))).toEqual([]);
});

/** The folders of PATH by links to all that is in them, but for one program. */
async function pathWithout(program: string): Promise<string> {
  const place = join(folder, `without-${program}`);
  await mkdir(place);
  for (const path of (process.env.PATH ?? "").split(delimiter).reverse()) {
    for (const name of await readdir(path).catch(() => [])) {
      if (name === program) continue;
      await rm(join(place, name), { force: true });
      await symlink(join(path, name), join(place, name));
    }
  }
  return place;
}

test("an etcd that cannot be started leaves no folder behind", async () => {
  // It is there when it is asked for its version, and gone after that.
  const { cli, temporary } = await cliWith("gone", 'rm "$0"');
  const port = await freePorts();
  expect(await cli.run("etcd", "run", "--port", String(port))).toMatchObject({
    code: 1,
    err: expect.stringMatching(/^etcd-recipes: spawn .*gone ENOENT$/),
  });
  expect(await readdir(temporary)).toEqual([]);
});

/** Whether something listens there. */
const listens = async (endpoint: string) => {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname);
  const open = await once(socket, "connect").then(
    () => true,
    () => false,
  );
  socket.destroy();
  return open;
};

/** Without the promise it would outlive the tests. */
const endIfRunning = (pid: number) => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended.
  }
};

test.each(["SIGHUP", "SIGQUIT", "SIGKILL"] as const)("%s leaves no etcd and no folder behind", async (how) => {
  const temporary = join(folder, how);
  await mkdir(temporary);
  const cli = new Cli("127.0.0.1:1", { ...process.env, TMPDIR: temporary });
  await using running = cli.start("etcd", "run", "--port", String(await freePorts()), "--json");
  const { endpoint, pid } = JSON.parse(await running.firstLine);
  try {
    expect(await listens(endpoint)).toBe(true);
    running.kill(how);
    await until(async () => !(await listens(endpoint)) && (await readdir(temporary)).length === 0);
    expect(await running.ended).toBe(how === "SIGKILL" ? how : 0);
  } finally {
    endIfRunning(pid);
  }
});

test("a second Ctrl-C kills an etcd that does not stop, and leaves no folder behind", async () => {
  const file = join(folder, "asked");
  const { cli, temporary } = await cliWith(
    "stubborn",
    `[ "$1" = --version ] && exit
trap 'echo asked >>${file}' TERM
echo $$
while :; do sleep 0.1; done`,
  );
  await using running = cli.start("etcd", "run", "--port", String(await freePorts()));
  const pid = Number(await running.firstLine);
  try {
    running.kill("SIGINT");
    await until(() => readFile(file, "utf8"));
    running.kill("SIGINT");
    expect(await once(running.process, "exit")).toEqual([0, null]);
    expect(await readdir(temporary)).toEqual([]);
  } finally {
    endIfRunning(pid);
  }
});
