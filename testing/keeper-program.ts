import type { ChildProcess } from "node:child_process";
import type { Server, Socket } from "node:net";
import type { KeeperConfig, KeeperMessage, KeeperRequest } from "./keeper-protocol.ts";

/** The modules that the keeper works with. They are handed in because it can import nothing. */
export interface KeeperModules {
  readonly childProcess: typeof import("node:child_process");
  readonly fs: typeof import("node:fs");
  readonly net: typeof import("node:net");
  readonly os: typeof import("node:os");
  readonly path: typeof import("node:path");
}

/**
 * The program of the keeper: a process of its own that owns the etcd processes, the folder and the links between peers.
 *
 * It is a process so that everything is ended when the parent dies, even by SIGKILL (the IPC channel disconnects), and
 * so that a parent with a busy event loop does not stall the traffic between the members.
 *
 * It is sent to `node -e` as text, which works alike from compiled and from TypeScript sources: it must use nothing
 * from outside its own body but Node's globals.
 */
export function runKeeper({ childProcess, fs, net, os, path }: KeeperModules): void {
  const config: KeeperConfig = JSON.parse(process.argv[1] ?? "{}");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "etcd-recipes-"));
  const running = new Map<number, ChildProcess>();
  const isolated = new Set<number>();
  const exchanges = new Set<{ from: number; to: number; abort(): void }>();
  const mostHeadBytes = 64 * 1024;
  const linkPorts: number[] = [];
  let ending = false;
  process.title = `etcd-recipes keeper of ${folder}`;

  function send(message: KeeperMessage): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  }

  // One forward proxy per sender. Go would reuse a connection to it for requests to other members, so each request asks
  // for a connection that ends with its answer: behind the head of a request the bytes pass as they are.
  function forward(from: number, head: string, rest: Buffer, sender: Socket): void {
    const [line = "", ...fields] = head.split("\r\n");
    const [method, target = "", version] = line.split(" ");
    const url = URL.canParse(target) ? new URL(target) : undefined;
    const to = Number(url?.hostname.split(".")[3]) - 1;
    const port = config.peerPorts[to];
    if (url === undefined || port === undefined || isolated.has(from) || isolated.has(to)) {
      sender.destroy();
      return;
    }
    const upstream = net.connect({ host: "127.0.0.1", port, noDelay: true });
    const exchange = {
      from,
      to,
      abort() {
        exchanges.delete(exchange);
        upstream.destroy();
        sender.destroy();
      },
    };
    exchanges.add(exchange);
    const kept = fields.filter((field) => !/^(proxy-)?connection:/i.test(field));
    upstream.write(
      `${[`${method} ${url.pathname}${url.search} ${version}`, ...kept].join("\r\n")}\r\nConnection: close\r\n\r\n`,
    );
    upstream.write(rest);
    sender.on("error", exchange.abort).on("close", exchange.abort);
    upstream.on("error", exchange.abort).on("close", () => {
      exchanges.delete(exchange);
      sender.destroySoon();
    });
    sender.pipe(upstream);
    upstream.pipe(sender);
  }

  function acceptFrom(from: number): Server {
    return net.createServer({ noDelay: true }, (sender) => {
      let received = Buffer.alloc(0);
      const onData = (bytes: Buffer) => {
        received = Buffer.concat([received, bytes]);
        const end = received.indexOf("\r\n\r\n");
        if (end < 0 && received.length > mostHeadBytes) sender.destroy();
        if (end < 0) return;
        sender.off("data", onData);
        sender.off("error", onError);
        forward(from, received.toString("latin1", 0, end), received.subarray(end + 4), sender);
      };
      const onError = () => sender.destroy();
      sender.on("data", onData);
      sender.on("error", onError);
    });
  }

  function openLink(from: number): Promise<void> {
    const server = acceptFrom(from);
    return new Promise((resolve, reject) => {
      server.on("error", reject);
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        if (address !== null && typeof address === "object") linkPorts[from] = address.port;
        resolve();
      });
    });
  }

  function start({ member, binary, flags, env, logFile }: KeeperRequest & { op: "start" }): Promise<number> {
    if (ending) throw new Error("the cluster is closed");
    if (running.has(member)) throw new Error(`member ${member} is running already`);
    const log = fs.openSync(logFile, "a");
    const link = linkPorts[member];
    const proxy = link === undefined ? {} : { HTTP_PROXY: `http://127.0.0.1:${link}` };
    let child: ChildProcess;
    try {
      child = childProcess.spawn(binary, flags, {
        env: { ...process.env, ...env, ...proxy },
        stdio: ["ignore", log, log],
      });
    } finally {
      fs.closeSync(log);
    }
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("spawn", () => {
        running.set(member, child);
        resolve(child.pid ?? 0);
      });
      child.on("exit", (code, signal) => {
        running.delete(member);
        send({ type: "exit", member, reason: signal ?? `code ${code}` });
      });
    });
  }

  function end(member: number, signal: "SIGTERM" | "SIGKILL", limitMs: number): Promise<void> {
    const child = running.get(member);
    if (child === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const limit = setTimeout(() => child.kill("SIGKILL"), limitMs);
      child.on("exit", () => {
        clearTimeout(limit);
        resolve();
      });
      child.kill(signal);
      child.kill("SIGCONT");
    });
  }

  function isolate(member: number, on: boolean): void {
    if (!on) {
      isolated.delete(member);
      return;
    }
    isolated.add(member);
    for (const exchange of [...exchanges]) {
      if (exchange.from === member || exchange.to === member) exchange.abort();
    }
  }

  async function endAll(): Promise<void> {
    ending = true;
    await Promise.all([...running.keys()].map((member) => end(member, "SIGKILL", 0)));
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
  }

  async function obey(request: KeeperRequest): Promise<{ pid?: number }> {
    switch (request.op) {
      case "start":
        return { pid: await start(request) };
      case "signal":
        running.get(request.member)?.kill(request.signal);
        return {};
      case "end":
        await end(request.member, request.signal, request.limitMs);
        return {};
      case "isolate":
        isolate(request.member, request.on);
        return {};
      case "close":
        await endAll();
        return {};
    }
  }

  async function exitAfterAll(code: number): Promise<void> {
    await endAll();
    process.exit(code);
  }

  process.on("message", async (request: KeeperRequest) => {
    const { id } = request;
    try {
      send({ type: "reply", id, ...(await obey(request)) });
    } catch (error) {
      send({ type: "reply", id, error: error instanceof Error ? error.message : String(error) });
    }
    if (request.op === "close") process.disconnect();
  });
  process.on("disconnect", () => exitAfterAll(0));
  process.on("SIGTERM", () => exitAfterAll(0));
  process.on("SIGHUP", () => exitAfterAll(0));
  process.on("uncaughtException", (error) => {
    console.error("etcd-recipes/testing: the keeper failed:", error);
    void exitAfterAll(1);
  });

  void Promise.all(config.peerPorts.map((_, member) => openLink(member))).then(() => send({ type: "ready", folder }));
}
