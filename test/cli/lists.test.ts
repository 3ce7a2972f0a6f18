import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  Confirmation,
  EtcdClient,
  prefix,
  putOp,
  Queue,
  ServiceRegister,
} from "../../recipes/index.ts";
import { type EtcdCluster, startEtcd } from "../../testing/index.ts";
import { nastyText } from "../misuse/hostile-values.ts";
import { run } from "../support/child.ts";
import { Cli, cliProgram } from "../support/cli.ts";
import { inTurn } from "../support/in-turn.ts";
import { until } from "../support/until.ts";

/** As JSON has times: for programs. */
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let cluster: EtcdCluster;
let etcd: EtcdClient;
let cli: Cli;

beforeAll(async () => {
  cluster = await startEtcd();
  etcd = new EtcdClient(cluster.clientOptions);
  cli = new Cli(cluster.endpoints.join(","));
});
afterAll(async () => {
  await etcd.close();
  await cluster.close();
});

test("ls prints what is registered, as a table and as JSON, and no key can move the cursor", async () => {
  await using one = new ServiceRegister("/ls/m1", "10.0.0.1:80", 30, {
    client: etcd,
    weight: 3,
    metadata: { zone: "eu-1" },
  });
  await using two = new ServiceRegister("/ls/m\u001b[2J2", "10.0.0.2:80", 30, { client: etcd });
  await Promise.all([one.ready, two.ready]);
  const { code, out } = await cli.run("ls", "/ls/");
  expect(code).toBe(0);
  expect(out.split("\n").length).toBe(3);
  expect(out).toMatch(/^ID +ADDRESS +WEIGHT/);
  expect(out).toMatch(/m1 +10\.0\.0\.1:80 +3 +false +\{"zone":"eu-1"\}/);
  expect(out).toContain("m\\u{1b}[2J2");
  expect(out).not.toContain("\u001b");
  expect(await cli.json("ls", "/ls/")).toMatchObject([
    { id: "m\u001b[2J2", address: "10.0.0.2:80" },
    { id: "m1", address: "10.0.0.1:80", weight: 3, draining: false, metadata: { zone: "eu-1" } },
  ]);
});

test("with --json no key and no value has a control character in it either, and both come as they are", async () => {
  const [id, value] = [`${nastyText.replaceAll("\u0000", "")}😀\u{e0001}`, `${nastyText}\u{e0001}`];
  await etcd.put(`/nasty/jobs/${id}`, value);
  const { code, out } = await cli.run("queue", "ls", "/nasty", "--json");
  expect(code).toBe(0);
  expect(out).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
  expect(JSON.parse(out)).toEqual({ id, state: "ready", value });
});

test("ls says on stderr how many keys it cannot read, and lists the others", async () => {
  await using server = new ServiceRegister("/ls-broken/m1", "10.0.0.1:80", 30, { client: etcd });
  await server.ready;
  expect(await cli.run("ls", "/ls-broken")).toMatchObject({ code: 0, err: "" });
  for (const id of ["a", "b", "c", "d"]) await etcd.put(`/ls-broken/${id}`, '{"Op":0,"Addr":');
  const said = "4 of 5 keys below /ls-broken/ cannot be read: /ls-broken/a, /ls-broken/b, /ls-broken/c, …";
  const { code, out, err } = await cli.run("ls", "/ls-broken");
  expect({ code, err }).toEqual({ code: 0, err: said });
  expect(out.split("\n").slice(1)).toEqual([expect.stringMatching(/^m1 +10\.0\.0\.1:80/)]);
  const json = await cli.run("ls", "/ls-broken", "--json");
  expect(json).toMatchObject({ code: 0, err: said });
  expect(JSON.parse(json.out)).toMatchObject({ id: "m1" });
});

test("a prefix with 50 000 keys is listed, shown and looked at whole", async () => {
  await inTurn([...Array(500).keys()], 16, async (part) => {
    const success = Array.from({ length: 100 }, (_, at) => putOp(`/many/${part}-${at}`, "10.0.0.1:80"));
    await etcd.txn({ success });
  });
  const patience = ["--command-timeout", "60s"];
  const { code, out } = await cli.run("ls", "/many/", ...patience);
  expect(code).toBe(0);
  expect(out.split("\n").length).toBe(50_001);
  const [snapshot] = (await cli.json("top", "/many/", ...patience)) as [{ sections: [{ rows: unknown[] }] }];
  expect(snapshot.sections[0].rows.length).toBe(50_000);
  expect((await cli.run("doctor", "/many/", "--read-only", ...patience)).out).toContain(
    "50000 keys below /many/, all registrations",
  );
});

test("watch prints each event, and runs a command for each with --exec", async () => {
  await using watching = cli.start("watch", "/w/", "--json", "--revision", "1");
  await using running = cli.start(
    "watch",
    "/w/",
    "--exec",
    'echo "$ETCD_EVENT_TYPE $ETCD_EVENT_KEY $ETCD_EVENT_VALUE"',
    "--revision",
    "1",
  );
  await etcd.put("/w/a", "1");
  await etcd.delete("/w/a");
  await until(() => watching.lines.length >= 2 && running.lines.length >= 2, { timeoutMs: 30_000 });
  expect(watching.lines.map((line) => JSON.parse(line))).toMatchObject([
    { type: "put", key: "/w/a", value: "1" },
    { type: "delete", key: "/w/a" },
  ]);
  expect(running.lines).toEqual(["put /w/a 1", "delete /w/a "]);
  watching.kill("SIGINT");
  expect(await watching.ended).toBe(130);
});

test("watch has bytes that are not UTF-8 as base64, and U+FFFD itself as it is", async () => {
  const [key, value] = [Buffer.from("/bytes/\xff", "latin1"), Buffer.from([0xfe, 0])];
  const script = 'echo "$ETCD_EVENT_TYPE $ETCD_EVENT_KEY_BASE64 $ETCD_EVENT_VALUE_BASE64 $ETCD_EVENT_KEY"';
  // What an outer --exec has set is not of this event.
  const inner = new Cli(cluster.endpoints.join(","), { ...process.env, ETCD_EVENT_VALUE_BASE64: "outer" });
  await using watching = cli.start("watch", "/bytes/", "--json", "--revision", "1");
  await using running = inner.start("watch", "/bytes/", "--exec", script, "--revision", "1");
  await etcd.put("/bytes/a", "\ufffd");
  await etcd.put("/bytes/b", value.subarray(0, 1));
  await etcd.put(key, value);
  await etcd.delete(key);
  const keyBase64 = key.toString("base64");
  await until(() => watching.lines.length >= 4);
  expect(watching.lines.map((line) => JSON.parse(line))).toEqual([
    { type: "put", key: "/bytes/a", value: "\ufffd", revision: expect.any(Number) },
    { type: "put", key: "/bytes/b", valueBase64: "/g==", revision: expect.any(Number) },
    { type: "put", keyBase64, valueBase64: value.toString("base64"), revision: expect.any(Number) },
    { type: "delete", keyBase64, revision: expect.any(Number) },
  ]);
  await until(() => running.lines.length >= 2);
  expect(running.lines.slice(0, 2)).toEqual(["put   /bytes/a", "put  /g== /bytes/b"]);
});

test("queue adds, lists, and lets dead jobs go back or away", async () => {
  expect((await cli.run("queue", "add", "/q", "first", "--id", "a")).out).toBe("a");
  await cli.run("queue", "add", "/q", "later", "--id", "b", "--delay", "1h");
  expect(await cli.json("queue", "ls", "/q")).toMatchObject([
    { id: "a", state: "ready", attempt: 0, value: "first" },
    { id: "b", state: "delayed", notBefore: expect.stringMatching(isoTime), value: "later" },
  ]);
  expect((await cli.run("queue", "ls", "/q")).out).toMatch(/^b +in (59m|1h)/m);
  await using queue = new Queue("/q", { client: etcd, maxAttempts: 1 });
  const job = await queue.dequeue();
  expect((await cli.json("queue", "ls", "/q"))[0]).toMatchObject({ id: "a", state: "in hand" });
  await job.release();
  await until(async () => (await queue.deadLetters()).length === 1);
  expect((await cli.run("queue", "dead", "/q")).out).toMatch(/a +1 +\d{4}-.*Z +first/);
  expect(await cli.run("queue", "retry", "/q")).toMatchObject({ code: 2, err: expect.stringContaining("--all") });
  expect((await cli.run("queue", "retry", "/q", "--all")).out).toBe("1 put back");
  expect(await cli.json("queue", "dead", "/q")).toEqual([]);
  expect(await cli.run("queue", "discard", "/q", "nothing")).toMatchObject({
    code: 1,
    err: "etcd-recipes: /q has no dead job nothing",
  });
});

test("queue add says on stderr that nothing was added, which is no failure", async () => {
  const first = await cli.run("queue", "add", "/dup", "one", "--id", "a", "--delay", "0");
  expect(first).toEqual({ code: 0, out: "a", err: "" });
  const said = "nothing was added: a is in the queue, or among its dead jobs";
  expect(await cli.run("queue", "add", "/dup", "two", "--id", "a")).toEqual({ code: 0, out: "a", err: said });
  const json = await cli.run("queue", "add", "/dup", "three", "--id", "a", "--json");
  expect({ ...json, out: JSON.parse(json.out) }).toEqual({ code: 0, out: { id: "a", added: false }, err: said });
  expect(await cli.json("queue", "ls", "/dup")).toMatchObject([{ id: "a", state: "ready", value: "one" }]);
});

test("times of strangers that are none are left out, and what is no job is shown as it is", async () => {
  await etcd.put("/odd/jobs/a", JSON.stringify({ value: "x", attempt: 0, notBefore: 1e300 }));
  await etcd.put("/odd/jobs/b", JSON.stringify({ value: "x", attempt: 0, notBefore: "tomorrow" }));
  await etcd.put("/odd/jobs/c", Buffer.from([0xff]));
  expect(await cli.json("queue", "ls", "/odd")).toEqual([
    { id: "a", state: "delayed", attempt: 0, value: "x" },
    { id: "b", state: "ready", attempt: 0, value: "x" },
    { id: "c", state: "ready", valueBase64: "/w==" },
  ]);
  await etcd.put("/odd/dead/d", JSON.stringify({ value: "x", attempts: 5, diedAtMs: 1e300 }));
  expect(await cli.json("queue", "dead", "/odd")).toEqual([{ id: "d", attempts: 5, value: "x" }]);
  await etcd.put("/odd-cache/a", JSON.stringify({ expiresAt: 1e300 }));
  await etcd.put("/odd-cache/b", "text");
  expect(await cli.json("cache", "ls", "/odd-cache")).toEqual([{ id: "a" }, { id: "b" }]);
  expect((await cli.run("cache", "ls", "/odd-cache")).out).toMatch(/^a +never\nb +never$/m);
});

test("a value that begins with - is given after --, and the hint says so", async () => {
  const hint = await cli.run("queue", "add", "/dash", "-5");
  expect(hint).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^etcd-recipes: Unknown option '-5'; an argument that begins with - stands after --$/m),
  });
  expect((await cli.run("queue", "add", "/dash", "--id", "a", "--", "-5")).code).toBe(0);
  expect((await cli.run("queue", "add", "--id", "b", "/dash", "--", "--")).code).toBe(0);
  expect((await cli.run("queue", "add", "--id", "c", "--", "/dash", "--json")).code).toBe(0);
  const jobs = await cli.json("queue", "ls", "/dash");
  expect(jobs).toMatchObject([
    { id: "a", value: "-5" },
    { id: "b", value: "--" },
    { id: "c", value: "--json" },
  ]);
});

test("cache, cancel and confirm do what their recipes do", async () => {
  await using cache = new CacheExpirer("/cache/", { client: etcd, ttlSeconds: 3_600, onExpire() {} });
  await cache.track("c1");
  await etcd.put("/cache2/c2", "");
  for (const given of ["/cache/", "/cache"]) {
    expect(await cli.json("cache", "ls", given), given).toEqual([
      { id: "c1", expiresAt: expect.stringMatching(isoTime), lease: expect.any(String) },
    ]);
  }
  expect((await cli.run("cache", "ls", "/cache/")).out).toMatch(/^c1 +in \d+[hm]/m);

  await using cancellation = new Cancellation("/cancel/", { client: etcd });
  const signal = cancellation.signal("run-1");
  expect((await cli.run("cancel", "/cancel/", "run-1", "by hand")).out).toBe("cancelled run-1");
  await until(() => signal.aborted);
  expect(String(signal.reason)).toContain("by hand");
  expect((await cli.run("cancel", "/cancel/", "run-1")).out).toBe("run-1 was cancelled before");

  await using confirmation = new Confirmation("/confirm/", { client: etcd });
  const asked = confirmation.request("deploy", { timeoutSeconds: 600 });
  await until(async () => (await etcd.range(prefix("/confirm/"))).count > 0);
  expect(await cli.json("confirm", "ls", "/confirm/")).toEqual([
    { id: "deploy", deadline: expect.stringMatching(isoTime) },
  ]);
  expect((await cli.run("confirm", "ls", "/confirm/")).out).toMatch(/^deploy +(9m|10m)/m);
  expect((await cli.run("confirm", "approve", "/confirm/", "deploy", "--by", "ann")).code).toBe(0);
  expect(await asked).toEqual({ decision: "approved", by: "ann" });
  expect((await cli.run("confirm", "reject", "/confirm/", "deploy")).code).toBe(1);
});

test("what is wrong with the arguments, with etcd or with the user has an exit code and a sentence", async () => {
  const wrong: [string[], number, string][] = [
    [["ls"], 2, "PREFIX is missing\nusage: etcd-recipes ls PREFIX"],
    [["ls", "a", "b"], 2, '"b" is one argument too many'],
    [["lss"], 2, 'there is no command "lss"'],
    [["ls", "a", "--nothing"], 2, "Unknown option '--nothing'"],
    [["ls", "a", "--command-timeout", "5"], 2, '--command-timeout is a time such as 500ms, 5s or 2m, not "5"'],
    [["drain", "/l", "--wait", "30d"], 2, '--wait is at most 24d 20h, not "30d"'],
    [["top", "/l", "--every", "25d"], 2, '--every is at most 24d 20h, not "25d"'],
    [["lock", "/l", "--wait", "30d", "--", "true"], 2, '--wait is at most 24d 20h, not "30d"'],
    [["ls", "a", "--command-timeout", "100d"], 2, '--command-timeout is at most 24d 20h, not "100d"'],
    [["register", "/r", "a:1", "--drain", "30d", "--", "true"], 2, '--drain is at most 24d 20h, not "30d"'],
    [["queue", "add", "/q", "a", "--delay", "36501d"], 2, '--delay is at most 36500d, not "36501d"'],
    [["top", "/l", "--every", "0"], 2, '--every is a time such as 500ms, 5s or 2m, not "0"'],
    [["top", "/l", "--every", "0s"], 2, '--every is at least 1ms, not "0s"'],
    ...[
      ["lock", "/l"],
      ["elect", "/l"],
      ["register", "/r", "a:1"],
    ].flatMap((command): [string[], number, string][] => [
      [
        [...command, "--ttl", "500ms", "--", "true"],
        2,
        '--ttl is a whole number of seconds such as 5s or 2m, not "500ms"',
      ],
      ...["200000d", "9000000001s"].map((ttl): [string[], number, string] => [
        [...command, "--ttl", ttl, "--", "true"],
        2,
        `--ttl is at most 9000000000s, not "${ttl}"`,
      ]),
    ]),
    [["drain", "/none", "--wait", "1.1h"], 1, "there is no registration /none"],
    [["etcd", "run", "--port", "65535"], 2, '--port is a whole number from 1 to 65534, not "65535"'],
    [["defrag", "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"], 3, "127.0.0.1:1"],
    [["lock", "/l"], 2, "after -- a command to run is missing"],
    [["ls", "a", "--", "true"], 2, "it runs no command"],
    [
      ["lock", "/l", "--grace", "10s", "--", "true"],
      2,
      "--grace must be below half of --ttl: it is 10s, and the TTL is 10s",
    ],
    [
      ["elect", "/l", "--ttl", "4s", "--grace", "2000ms", "--", "true"],
      2,
      "--grace must be below half of --ttl: it is 2000ms, and the TTL is 4s",
    ],
    [["ls", "a", "--password", "x"], 2, "--password needs --user"],
    ...["notaurl", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/"].map((url): [string[], number, string] => [
      ["register", "/r", "10.0.0.1:80", "--health", url, "--", "true"],
      2,
      `--health is a URL of http:// or https:// without a user, not "${url}"`,
    ]),
    ...["abc", ""].map((weight): [string[], number, string] => [
      ["register", "/r", "10.0.0.1:80", "--weight", weight, "--", "true"],
      2,
      `--weight is a number, not "${weight}"`,
    ]),
    ...["", "[1]", "{zone:1}"].map((metadata): [string[], number, string] => [
      ["register", "/r", "a:1", "--metadata", metadata, "--", "true"],
      2,
      `--metadata is a JSON object, not "${metadata}"`,
    ]),
    [["register", "/r", "a:1", "--weight=-1", "--", "true"], 2, '--weight is at least 0, not "-1"'],
    ...["--weight", "--weight -1"].map((given): [string[], number, string] => [
      ["register", "/r", "a:1", ...given.split(" "), "--", "true"],
      2,
      "--weight needs a value; one that begins with - is given as --weight=-...",
    ]),
    [["ls", "a", "--json=1"], 2, "--json takes no value"],
    ...["ls", "watch", "doctor", "top"].map((command): [string[], number, string] => [
      [command, ""],
      2,
      "PREFIX must not be empty: that would be every key there is",
    ]),
    [["drain", ""], 2, "KEY must not be empty"],
    [["ls", "a", ""], 2, '"" is one argument too many'],
    [["register", "/r", "", "--", "true"], 2, "ADDRESS must not be empty"],
    [["queue", "discard", "/q", ""], 2, "ID must not be empty"],
    ...[
      ["lock", "/empty"],
      ["elect", "/empty"],
      ["register", "/empty", "a:1"],
    ].map((command): [string[], number, string] => [
      [...command, "--", "", "argument"],
      2,
      "etcd-recipes: COMMAND must not be empty",
    ]),
    ...[
      ["ls", "a", "--cacert"],
      ["ls", "a", "--cert"],
      ["ls", "a", "--endpoints"],
      ["ls", "a", "--user"],
      ["watch", "a", "--exec"],
      ["drain", "a", "--by"],
      ["confirm", "reject", "a", "b", "--by"],
      ["queue", "add", "/q", "a", "--id"],
      ["etcd", "run", "--data-dir"],
      ["top", "--services"],
      ["top", "--lock"],
      ["top", "--queue"],
      ["top", "--election"],
    ].map((command): [string[], number, string] => [[...command, ""], 2, `${command.at(-1)} must not be empty`]),
    [["ls", "a", "--user", ":secret"], 2, "--user names no user"],
    [["ls", "a", "--user", "ann:"], 2, "--user has an empty password"],
    [["etcd", "run", "--endpoints", "h1:2379"], 2, "--endpoints is of no use to etcd run, which asks no etcd"],
    [["completion", "bash", "--user", "ann"], 2, "--user is of no use to completion, which asks no etcd"],
    ...[
      ["queue", "ls"],
      ["queue", "dead"],
      ["leader"],
      ["top", "--lock"],
      ["top", "--queue"],
      ["top", "--election"],
    ].map((command): [string[], number, string] => [[...command, "q/"], 2, "name must not end with a slash"]),
    ...[["queue", "ls"], ["queue", "dead"], ["leader"]].map((command): [string[], number, string] => [
      [...command, ""],
      2,
      "NAME must not be empty",
    ]),
    [["cache", "ls", ""], 2, "PREFIX must not be empty"],
    [
      ["ls", "a", "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"],
      3,
      "etcd was not reached: KV.range: no endpoint could serve it within 500 ms; last: http://127.0.0.1:1: connect",
    ],
    [["queue", "dead", "q", "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"], 3, "127.0.0.1:1"],
  ];
  const outcomes = await Promise.all(wrong.map(([args]) => cli.run(...args)));
  for (const [at, [args, code, text]] of wrong.entries()) {
    expect(outcomes[at], args.join(" ")).toMatchObject({ code, err: expect.stringContaining(text), out: "" });
  }
  const json = await cli.run(
    "queue",
    "dead",
    "q",
    "--json",
    "--endpoints",
    "127.0.0.1:1",
    "--command-timeout",
    "500ms",
  );
  expect(JSON.parse(json.err)).toMatchObject({ error: expect.any(String), code: expect.stringMatching(/^ETCD_/) });
  // What waits for a recipe's first list gives the code of the cause, as a request does.
  for (const words of [
    ["ls", "/a"],
    ["watch", "/a"],
    ["top", "/a"],
    ["queue", "dead", "/a"],
  ]) {
    const away = ["--json", "--endpoints", "127.0.0.1:1", "--command-timeout", "500ms"];
    const { code, err } = await cli.run(...words, ...away);
    expect({ code, said: JSON.parse(err) }, words.join(" ")).toMatchObject({
      code: 3,
      said: { code: "ETCD_UNAVAILABLE" },
    });
  }
});

test("a reader that has gone ends it without a word", async () => {
  const command = `{ ${process.execPath} ${cliProgram} --help; echo "ended $?" >&2; } | true`;
  expect(await run("sh", ["-c", command])).toMatchObject({ stderr: "ended 141\n" });
});

test("help and completions name every command", async () => {
  const { code, out } = await cli.run("--help");
  expect(code).toBe(0);
  expect(out.split("\n").filter((line) => line.length > 120)).toEqual([]);
  const names = [...out.matchAll(/^ {2}([a-z]+)/gm)].map(([, name]) => name as string);
  expect(names).toContain("elect");
  for (const shell of ["bash", "zsh", "fish"]) {
    const completion = await cli.run("completion", shell);
    for (const name of names) expect(completion.out).toContain(name);
  }
  expect((await cli.run("lock", "--help")).out).toContain("--wait TIME");
  expect((await cli.run("--version")).out).toMatch(/^\d+\.\d+\.\d+$/);
});

// The last one: it compacts.
test("snapshot saves everything to a file, and defrag gives space back", async () => {
  const folder = await mkdtemp(join(tmpdir(), "cli-"));
  const file = join(folder, "snapshot");
  const [saved] = await cli.json("snapshot", file);
  expect(saved).toEqual({ file, bytes: (await stat(file)).size, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(await cli.run("snapshot", join(folder, "none", "snapshot"))).toMatchObject({
    code: 2,
    err: expect.stringContaining("ENOENT"),
  });
  await rm(folder, { recursive: true });
  await etcd.delete(prefix("/many/"));
  await etcd.compact((await etcd.range("/")).revision, { physical: true });
  const [endpoint] = cluster.endpoints;
  const [done] = (await cli.json("defrag")) as [{ beforeBytes: number; afterBytes: number }];
  expect(done).toMatchObject({ endpoint });
  expect(done.afterBytes).toBeLessThan(done.beforeBytes / 2);
  expect((await cli.run("defrag", "--endpoints", `127.0.0.1:1,${endpoint}`, "--command-timeout", "1s")).code).toBe(1);
});
