import { readFileSync } from "node:fs";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { ofEtcd } from "../../cli/commands/index.ts";
import { connectionFlags } from "../../cli/connection-flags.ts";
import { runCli } from "../../cli/run-cli.ts";

/** Nothing listens there: what asks etcd ends with 3. */
const away = ["--endpoints", "127.0.0.1:1", "--command-timeout", "300ms"];

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const streams = { out: new PassThrough(), err: new PassThrough() };
  const code = await runCli(args, streams as unknown as { out: NodeJS.WriteStream; err: NodeJS.WriteStream });
  const textOf = (stream: PassThrough) => String(stream.read() ?? "").trim();
  return { code, out: textOf(streams.out), err: textOf(streams.err) };
}

test.each([
  [["take", "snapshot"], "take"],
  [["undo", "cancel", "/runs/", "7"], "undo"],
  [["xx", "ls"], "xx"],
  [["--ttl", "5s", "xx", "ls"], "xx"],
  [["--user", "ls", "/svc/"], "/svc/"],
])("%j: there is no such command, and nothing is run", async (args, name) => {
  expect(await run(...args, ...away)).toEqual({
    code: 2,
    out: "",
    err: `etcd-recipes: there is no command "${name}"; etcd-recipes --help lists them`,
  });
});

const queues = "queue ls, queue add, queue dead, queue retry, queue discard";

test.each([
  [["queue", "xx", "ls"], `there is no command "queue xx"; there is ${queues}`],
  [["queue"], `"queue" needs a second word; there is ${queues}`],
  [["etcd"], '"etcd" needs a second word; there is etcd run'],
  [["help", "xx"], 'there is no command "xx"; etcd-recipes --help lists them'],
])("%j: it says which commands begin so", async (args, problem) => {
  expect(await run(...args)).toEqual({ code: 2, out: "", err: `etcd-recipes: ${problem}` });
});

test("help does what --help does", async () => {
  expect(await run("help")).toEqual({ ...(await run("--help")), code: 0 });
  expect(await run("help", "queue", "ls")).toEqual({ ...(await run("queue", "ls", "--help")), code: 0 });
});

test("the help of a first word is that of its commands", async () => {
  const help = await run("queue", "--help");
  expect(help).toMatchObject({ code: 0, err: "" });
  expect([...help.out.matchAll(/^ {2}([a-z]+ [a-z]+)/gm)].map(([, name]) => name).join(", ")).toBe(queues);
  expect(await run("help", "queue")).toEqual(help);
  expect(await run("--json", "queue", "--help")).toEqual(help);
});

test("what asks no etcd has no flags of a connection in its help", async () => {
  expect((await run("ls", "--help")).out).toContain("--endpoints");
  expect((await run("etcd", "run", "--help")).out).not.toContain("--endpoints");
});

test("the page of the program names each command, and each option of each of them", () => {
  const page = readFileSync(new URL("../../docs/reference/cli.md", import.meta.url), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  for (const { name, options = {} } of ofEtcd) {
    const [row = ""] = rows.filter((line) => line.includes(`\`${name} `) || line.startsWith(`| \`${name}\``));
    expect(row, name).not.toBe("");
    for (const option of Object.keys(options)) expect(row, `${name} --${option}`).toContain(`--${option}`);
  }
  for (const flag of Object.keys(connectionFlags)) expect(page).toContain(`\`--${flag}\``);
});

test.each([
  [["--json", "ls", "/svc/"], 3, '{"error":'],
  [["--user", "lock", "--password", "secret", "ls", "/svc/"], 3, "etcd-recipes: list /svc/: etcd was not reached"],
  [["--user", "lock", "ls", "/svc/"], 2, "etcd-recipes: --user needs a password"],
  [["--ttl", "5s", "lock", "ls"], 2, "etcd-recipes: after -- a command to run is missing\nusage: etcd-recipes lock"],
  [["queue", "--all", "retry", "/q", "a"], 2, "etcd-recipes: name one job, or say --all"],
  [["--nothing", "ls", "/svc/"], 2, "etcd-recipes: Unknown option '--nothing'"],
])("%j: options may stand before the command, with their values", async (args, code, text) => {
  const outcome = await run(...args, ...away);
  expect(outcome).toMatchObject({ code, out: "" });
  expect(outcome.err).toContain(text);
});

test("an option has the same type in every command that has it, so it can stand before the command", () => {
  const types = new Map<string, string>();
  for (const { name, options = {} } of ofEtcd) {
    for (const [option, { type }] of Object.entries(options)) {
      expect(types.get(option) ?? type, `${option} of ${name}`).toBe(type);
      types.set(option, type);
    }
  }
});
