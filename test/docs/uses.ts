import { expect } from "vitest";
import { allKeys, prefix } from "../../src/index.ts";
import { runNode } from "../support/run-program.ts";
import { until } from "../support/until.ts";
import { asTest, cleanCache, endsWith, keyOf, prints, stop, toItsEnd, twoServers, type Use } from "./use.ts";

/** The snippets that are run, by page and section; the others are compiled. */
export const uses: Readonly<Record<string, Readonly<Record<string, Use>>>> = {
  "README.md": {
    "Five minutes": {
      goesOn: true,
      async check(program, { programs, world }) {
        const message = () => program.errors.join("\n");
        await until(() => program.lines.includes("registered"), { timeoutMs: 30_000, message });
        await using caller = runNode([programs.pathOf({ page: "README.md", title: "Five minutes 2" })], world.env);
        expect({ ended: await caller.ended, lines: caller.lines, errors: caller.errors }).toEqual({
          ended: 0,
          lines: ["hello"],
          errors: [],
        });
        program.kill("SIGTERM");
        await until(() => program.end !== undefined, { timeoutMs: 30_000, message: () => "SIGTERM does not end it" });
        expect(program).toMatchObject({ end: 0, errors: [] });
        expect(await keyOf(world, "/svc/hello/m1")).toBeUndefined();
      },
    },
    "Five minutes 2": {
      goesOn: true,
      // The first answer is a 503: the call goes to the other one of two servers that are one.
      before: (world) => twoServers(world, "/svc/hello/"),
      async check(program, { world }) {
        expect(await program.ended).toBe(0);
        expect(program.lines).toEqual(["done"]);
        expect(world.requests).toEqual(["/hello", "/hello"]);
      },
    },
  },
  "docs/guides/fencing.md": {
    Lock: { yours: { buildReport: "async function buildReport(token: number) {}" } },
    "Fence what is outside etcd": {
      yours: {
        sql: `const sql = { async query(text: string, values: unknown[]) {
        console.log(values[0], values[2]); return { rowCount: 1 };
      } };`,
        id: 'const id = "r1";',
        body: 'const body = "text";',
      },
      check: (program) => prints("text r1")(program),
    },
    "Fence what is outside etcd 2": {
      yours: {
        redis: `const redis = { async eval(script: string, keys: number, ...args: unknown[]) {
        console.log(args[0], args[2]); return 1;
      } };`,
        body: 'const body = "text";',
      },
      check: (program) => prints("report text")(program),
    },
  },
  "docs/guides/security.md": {
    "Run it in production": {
      env: (world) => world.secureEnv,
      added: 'await etcd.put("k", "v"); console.log("wrote", (await etcd.get("k"))?.text);',
      check: (program) => prints("wrote v")(program),
    },
    Namespaces: {
      before: (world) => world.etcd.put("team-a//svc/m1", "10.0.0.1:80"),
      added: "await services.ready; console.log(services.list().map(({ id }) => id));",
      check: (program) => prints("[ 'm1' ]")(program),
    },
  },
  "docs/guides/shutdown.md": {
    Shutdown: {
      yours: {
        nextTask: `import { once } from "node:events"; async function nextTask(signal: AbortSignal) {
          await once(signal, "abort");
        }`,
        run: "async function run(task: unknown, signal: AbortSignal) {}",
      },
      goesOn: true,
      async check(program, { world }) {
        const message = () => program.errors.join("\n");
        await until(() => program.lines.includes("serves"), { timeoutMs: 30_000, message });
        program.kill("SIGTERM");
        await until(() => program.end !== undefined, { timeoutMs: 30_000, message: () => "SIGTERM does not end it" });
        expect(program).toMatchObject({ end: 0, errors: [] });
        expect((await world.etcd.range(allKeys(), { countOnly: true })).count).toBe(0);
      },
    },
  },
  "docs/guides/testing.md": {
    "A test without a program": { check: (program, { world }) => prints(world.address, "{}")(program) },
    "Time by hand": { check: (program) => prints("1", "1 stale", "registered")(program) },
    "Time by hand 2": { check: (program) => prints("ETCD_TIMEOUT")(program) },
    "Fake timers of the runner": {
      args: asTest,
      goesOn: true,
      async check(program) {
        expect({ ended: await program.ended, output: program.output }).toMatchObject({ ended: 0 });
      },
    },
  },
  "docs/guides/troubleshooting.md": {
    // As after a run that was interrupted: all is compacted already.
    "`ETCD_EXHAUSTED`: no space": {
      before: async ({ etcd }) => etcd.compact((await etcd.put("k", "v")).revision),
    },
  },
  "docs/reference/admin.md": {
    "What operators do": {
      yours: { file: 'const file = new URL("etcd.db", import.meta.url).pathname;' },
      async check(program) {
        expect(await program.ended).toBe(0);
        expect(program.lines).toEqual(["[ 'subscriber' ] false", "1 true true", "[]", "true 64", "the end"]);
      },
    },
  },
  "docs/reference/cache-expirer.md": {
    "Expire caches together": {
      yours: {
        cleanCache,
        build: "async function build(id: string) { console.log('built', id); }",
        dir: 'import { mkdirSync } from "node:fs"; const dir = new URL("caches/", import.meta.url); mkdirSync(dir);',
      },
    },
  },
  "docs/reference/cancellation.md": {
    "Cancel a run": {
      added: "console.log(signal.aborted);",
      // It was released before it was cancelled.
      check: (program) => prints("false")(program),
    },
  },
  "docs/reference/client.md": {
    "The layer": {
      async check(program, { world }) {
        const changes = async () => {
          await world.etcd.put("svc/a", "1");
          return program.lines.includes("put svc/a");
        };
        await until(changes, { timeoutMs: 30_000, message: () => program.errors.join("\n") });
      },
    },
  },
  "docs/reference/cluster-monitor.md": {
    "Which node is up": {},
  },
  "docs/reference/confirmation.md": {
    "Ask for a confirmation": {
      added: "console.log(decision, by, reason);",
      async check(program, { world, programs }) {
        const isRequested = async () => (await world.etcd.range(prefix("/pipeline/confirm/"))).kvs.length > 0;
        await until(isRequested, { timeoutMs: 30_000, message: () => program.errors.join("\n") });
        await using approver = runNode(
          [programs.pathOf({ page: "docs/reference/confirmation.md", title: "Ask for a confirmation 2" })],
          world.env,
        );
        await prints("alice was first")(approver);
        await prints("approved alice undefined")(program);
      },
    },
    "Ask for a confirmation 2": { check: (program) => endsWith(program, "NotRequestedError") },
  },
  "docs/reference/leader-election.md": {
    "Elect a leader": {
      yours: {
        signal: stop,
        nextTask: `let left = 1; async function nextTask(signal: AbortSignal) {
        if (left-- === 0) stop.abort(new Error("the reader stops"));
        signal.throwIfAborted();
        return { id: "t1" };
      }`,
      },
      async check(program, { world }) {
        await toItsEnd(program);
        expect(await keyOf(world, "/tasks/t1")).toBe("scheduler-1");
      },
    },
  },
  "docs/reference/lifecycle.md": {
    "Say when it is ready, and end in the right order": {
      added: `await Promise.all([server.ready, stock.ready]);
        console.log((await fetch("http://127.0.0.1:8081/ready")).status);`,
      goesOn: true,
      async check(program, { world }) {
        const message = () => program.errors.join("\n");
        await until(() => program.lines.includes("200"), { timeoutMs: 30_000, message });
        program.kill("SIGTERM");
        expect(await program.ended).toBe(0);
        expect(program.errors).toEqual([]);
        expect(await keyOf(world, "/shop/orders/o1")).toBeUndefined();
      },
    },
  },
  "docs/reference/mutex.md": {
    Lock: {
      yours: {
        signal: stop,
        buildReport: "async function buildReport(lock: { token: unknown }) { console.log('built'); }",
      },
      check: (program) => prints("built", "built")(program),
    },
  },
  "docs/reference/queue.md": {
    "Hand out jobs": {
      yours: {
        signal: `${stop} process.once("SIGUSR2", () => stop.abort(new Error("the reader stops")));`,
        build: "async function build(job: string, signal: AbortSignal) { console.log(job); }",
      },
      async check(program, { world }) {
        const jobs = ["build proj-1", "build proj-2", "build proj-3"];
        const keysOf = async (part: string) => (await world.etcd.range(prefix(`/jobs/build/${part}/`))).kvs.length;
        const isIdle = async () => (await keysOf("jobs")) === 0 && (await keysOf("waiting")) === 1;
        const message = () => program.errors.join("\n");
        await until(() => jobs.every((job) => program.lines.includes(job)), { timeoutMs: 30_000, message });
        // It waits for another one.
        await until(isIdle, { timeoutMs: 30_000, message });
        program.kill("SIGUSR2");
        await toItsEnd(program);
      },
    },
  },
  "docs/reference/registration-group.md": {
    "Many instances in one process": {
      yours: {
        tenants: "const tenants = ['tenant-7', 'tenant-8'].map((name) => ({ name, address: '10.0.0.1:80' }));",
      },
    },
    "Many instances in one process 2": { added: "await Promise.all([api.ready, admin.ready]);" },
  },
  "docs/reference/service-register.md": {
    "Register a service": {
      // As a service that serves does.
      added:
        'import { createServer } from "node:http"; createServer().listen(0, "127.0.0.1", () => console.log("serves"));',
      goesOn: true,
      async check(program, { world }) {
        await until(() => program.lines.includes("serves"), {
          timeoutMs: 30_000,
          message: () => program.errors.join("\n"),
        });
        expect(await keyOf(world, "/publictest/pipeline/m1")).toContain(world.address);
        program.kill("SIGTERM");
        await until(() => program.end !== undefined, { timeoutMs: 30_000, message: "SIGTERM ends it" });
        expect(program).toMatchObject({ end: 0, errors: [] });
        expect(await keyOf(world, "/publictest/pipeline/m1")).toBeUndefined();
      },
    },
  },
  "docs/reference/storage.md": {
    "Keys that expire, and callbacks that miss no deletion": {
      yours: { cleanCache },
      added:
        'await storage.delete("cache/proj-1"); while (true) await new Promise((resolve) => setTimeout(resolve, 100));',
      check: (program) =>
        until(() => program.lines.includes("cleaned proj-1"), {
          timeoutMs: 30_000,
          message: () => program.errors.join(),
        }),
    },
  },
  "docs/reference/subscribe-service.md": {
    "Follow the list": {
      before: (world) => twoServers(world),
      check: (program) => prints("up m1 eu-1", "up m2 eu-1")(program),
    },
    "Choose a server": {},
    "Call it, and leave out those that fail": {
      before: (world) => twoServers(world),
      added: "console.log('answered', answer.status);",
      async check(program, { world }) {
        await prints("answered 200")(program);
        // The first one answered 503.
        expect(world.requests).toEqual(["/run", "/run"]);
      },
    },
    "See a part of it": {
      before: (world) => twoServers(world),
      added: "console.log(canaries.list().length, 'canaries', golden.map(({ metadata }) => metadata.tier));",
      check: (program) => prints("2 canaries [ 'gold' ]")(program),
    },
  },
  "docs/reference/testing.md": {
    "Test your own services": {},
  },
  "examples/README.md": {
    "The engine": {
      yours: {
        tasks: `const tasks = { left: 1, async take(signal: AbortSignal) {
        if (this.left-- === 0) throw new Error("no more tasks");
        return { id: "t1", async ack() { console.log("acknowledged"); } };
      } };`,
        run: `async function run(master: { address: string }, task: { id: string }, signal: AbortSignal) {
        console.log("ran", task.id, "at", master.address);
      }`,
        cleanCache,
      },
      async check(program, { world }) {
        await endsWith(program, "no more tasks");
        expect(program.lines).toEqual([`ran t1 at ${world.address}`, "acknowledged"]);
        expect(await keyOf(world, "/publictest/progress/t1")).toBe("done");
      },
    },
  },
};
