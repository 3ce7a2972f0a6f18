import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { errorCodes } from "../../src/index.ts";
import { headingAnchors, proseLines } from "../support/markdown.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(checkout, path), "utf8");
const rooms = ["src", "recipes", "doors", "cli", "testing", "test", "examples", "bench", "docs"];
const files = [...readdirSync(checkout), ...rooms.flatMap((room) => filesIn(room))];
const pages = files.filter((path) => path.endsWith(".md")).sort();
const sources = files.filter((path) => path.endsWith(".ts"));
const published = sources.filter((path) => /^(src|recipes|doors|cli|testing)\//.test(path));

/** Say instead: emits, reports, says; no process, the holder, another owner; the fix, restores, corrects; latency. */
const unplain =
  /\b(told|tells?|telling|nobody|somebody|who(m)?ever|mend(s|ed|ing|able)?|way of \d|stumbled?|wish(es|ed)?)\b/i;

/** The interfaces whose members a page of the reference has in a table. */
const documented = Object.entries({
  "service-register.md": ["ServiceRegisterOptions", "ServiceUpdate", "ServiceRegisterEvents"],
  "registration-group.md": ["RegistrationGroupOptions", "GroupMemberOptions", "RegistrationGroupEvents"],
  "subscribe-service.md": [
    "SubscribeServiceOptions",
    "PickOptions",
    "ServiceCallOptions",
    "OutlierDetectionOptions",
    "SubscribeServiceEvents",
  ],
  "leader-election.md": ["LeaderElectionOptions", "LeaderElectionEvents"],
  "mutex.md": ["MutexOptions", "AcquireOptions"],
  "queue.md": ["QueueOptions", "EnqueueOptions", "DequeueOptions", "QueueEvents"],
  "storage.md": ["StorageWatchOptions"],
  "cache-expirer.md": ["CacheExpirerOptions", "CacheExpirerEvents"],
  "cancellation.md": ["CancellationOptions", "CancellationEvents"],
  "confirmation.md": ["ConfirmationOptions", "ConfirmationRequestOptions", "ConfirmationEvents"],
  "cluster-monitor.md": ["ClusterMonitorOptions", "ClusterMonitorEvents"],
  "lifecycle.md": ["ShutdownOptions"],
  "client.md": [
    "EtcdClientOptions",
    "ClientEvents",
    "TlsOptions",
    "ReadOptions",
    "IterateOptions",
    "RevisionBounds",
    "RangeOptions",
    "PutOptions",
    "KeptByPut",
    "DeleteOptions",
    "TxnOptions",
    "CompactOptions",
    "GrantLeaseOptions",
    "AdoptLeaseOptions",
    "TimeToLiveOptions",
    "HealthOptions",
    "WatchOptions",
    "MirrorOptions",
    "Watch",
    "Mirror",
  ],
  "admin.md": [
    "PermissionToGrant",
    "MembersOptions",
    "MemberCallOptions",
    "SlowCallOptions",
    "HashKvOptions",
    "SnapshotOptions",
    "DisarmOptions",
  ],
  "grpc-js.md": ["EtcdResolverOptions"],
  "connect.md": ["PickingTransportOptions"],
  "undici.md": ["EtcdOptions"],
  "fastify.md": ["EtcdRecipesOptions"],
  "nestjs.md": ["EtcdRecipesModuleOptions"],
  "testing.md": ["FakeEtcdOptions", "StartEtcdOptions", "TlsSetup", "AuthSetup"],
}).flatMap(([page, names]) => names.map((name) => ({ page, name })));

/** The rules and failures that are cited by number, such as `GUARANTEES 3, HARDSHIPS 10` or `HARDSHIPS 5 and 10`. */
const citation = /\b(GUARANTEES|HARDSHIPS) (\d+(?:(?:, | and )\d+)*)/g;

test.each([
  ["GUARANTEES", "docs/design/guarantees.md"],
  ["HARDSHIPS", "docs/design/hardships.md"],
])("each cited number of %s is a heading of %s", (name, page) => {
  const numbers = [...read(page).matchAll(/^### (\d+)\. /gm)].map(([, number]) => number);
  expect(numbers).toEqual(numbers.map((_, index) => String(index + 1)));
  const cited = [...sources, ...pages].flatMap((path) =>
    [...read(path).matchAll(citation)]
      .filter(([, cites]) => cites === name)
      .flatMap(([, , list = ""]) => list.split(/, | and /).map((number) => ({ path, number }))),
  );
  expect(cited.length).toBeGreaterThan(10);
  expect(cited.filter(({ number }) => !numbers.includes(number))).toEqual([]);
});

test.each(pages)("%s is in plain words", (page) => {
  const found = proseLines(read(page)).filter(({ text }) => unplain.test(text.replace(/`[^`]*`|"[^"]*"/g, "")));
  expect(found.map(({ line, text }) => `${page}:${line}: ${text}`)).toEqual([]);
});

test("comments and messages of what is published, and of the tests, are in plain words", () => {
  const found = sources
    .filter((path) => path !== "test/checkout/docs.test.ts")
    .flatMap((path) =>
      read(path)
        .split("\n")
        .map((text, index) => ({ text, at: `${path}:${index + 1}` }))
        // Comments and names of tests everywhere; in what is published also its messages.
        .filter(({ text }) => /^\s*(\/\*\*|\*|\/\/|test\()/.test(text) || published.includes(path))
        .filter(({ text }) => unplain.test(text.replace(/`[^`$]*`|"[\w/-]*"|[\w-]*\.ts/g, "")))
        .map(({ at, text }) => `${at}: ${text.trim()}`),
    );
  expect(found).toEqual([]);
});

test("each error code is explained once", () => {
  const explained = [...read("docs/reference/errors.md").matchAll(/^\| `(ETCD_\w+)` \|/gm)].map(([, code]) => code);
  expect(explained).toEqual([...errorCodes]);
});

test.each(documented)("docs/reference/$page has each member of $name", ({ page, name }) => {
  const declaration = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, "ms");
  const [, body = ""] = published.flatMap((path) => declaration.exec(read(path)) ?? []);
  const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??: /gm)].map(([, member]) => member);
  expect(members).not.toEqual([]);
  const text = read(`docs/reference/${page}`);
  expect(members.filter((member) => !text.includes(`\n| \`${member}\` |`))).toEqual([]);
});

test.each([
  ["auth", "auth"],
  ["auth.users", "users"],
  ["auth.roles", "roles"],
  ["cluster", "cluster"],
  ["maintenance", "maintenance"],
])("docs/reference/admin.md has each call of etcd.%s with its arguments", (path, file) => {
  const source = read(`src/admin/${file}.ts`);
  const calls = [...source.matchAll(/^ {2}async (\w+)\(([^)]*?),?\s*\)/gms)].map(([, name = "", list = ""]) => {
    const given = list
      .replace(/"[^"]*"/g, "")
      .split(",")
      .map((argument) => (/^\s*(\w+)(\?:|.* = |: CallOptions)?/.exec(argument) ?? []) as string[]);
    const names = given.map(([, argument, optional]) => `${argument}${optional ? "?" : ""}`);
    return `\n| \`${path}.${name}(${names.join(", ")})\` |`;
  });
  expect(calls.length).toBeGreaterThan(2);
  expect(calls.filter((call) => !read("docs/reference/admin.md").includes(call))).toEqual([]);
});

test("the picture of the demo is what scripts/demo-picture.mjs draws of the recorded run", async () => {
  const { drawDemo } = await import(join(checkout, "scripts/demo-picture.mjs"));
  expect(drawDemo(read("docs/demo.txt").trimEnd())).toBe(read("docs/demo.svg"));
  expect(read("docs/demo.svg").length).toBeLessThan(60_000);
});

describe.each(pages)("%s", (page) => {
  test("relative links lead to a file, and to a heading that it has", () => {
    const targets = proseLines(read(page)).flatMap(({ text }) =>
      [...text.replace(/`[^`]*`/g, "").matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target),
    );
    const broken = targets.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : relative(checkout, join(checkout, dirname(page), path));
      if (file.startsWith("..") || !existsSync(join(checkout, file))) return true;
      return anchor !== undefined && !headingAnchors(read(file)).includes(decodeURIComponent(anchor));
    });
    expect(broken).toEqual([]);
  });

  test("no line of prose is longer than 120 columns", () => {
    // A row of a table is one line, however long.
    const long = proseLines(read(page)).filter(({ text }) => [...text].length > 120 && !text.startsWith("|"));
    expect(long.map(({ line }) => `${page}:${line}`)).toEqual([]);
  });
});

function filesIn(room: string): string[] {
  return readdirSync(join(checkout, room), { recursive: true }).map((path) => join(room, String(path)));
}
