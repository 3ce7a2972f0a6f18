import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { errorCodes } from "../../src/index.ts";
import { headingAnchors, proseLines } from "../support/markdown.ts";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(checkout, path), "utf8");
const rooms = ["src", "recipes", "testing", "test", "examples", "bench", "docs"];
const files = [...readdirSync(checkout), ...rooms.flatMap((room) => filesIn(room))];
const pages = files.filter((path) => path.endsWith(".md")).sort();
const sources = files.filter((path) => path.endsWith(".ts"));

/** The interfaces whose members a page of the reference has in a table. */
const documented = [
  ["service-register", "recipes/service-register/options.ts", "ServiceRegisterOptions"],
  ["service-register", "recipes/service-register/registration-options.ts", "ServiceUpdate"],
  ["service-register", "recipes/service-register/register-events.ts", "ServiceRegisterEvents"],
  ["registration-group", "recipes/registration-group/options.ts", "RegistrationGroupOptions"],
  ["registration-group", "recipes/registration-group/options.ts", "GroupMemberOptions"],
  ["registration-group", "recipes/registration-group/group-events.ts", "RegistrationGroupEvents"],
  ["subscribe-service", "recipes/subscribe-service/options.ts", "SubscribeServiceOptions"],
  ["subscribe-service", "recipes/subscribe-service/options.ts", "PickOptions"],
  ["subscribe-service", "recipes/subscribe-service/options.ts", "ServiceCallOptions"],
  ["subscribe-service", "recipes/subscribe-service/outlier-detector.ts", "OutlierDetectionOptions"],
  ["subscribe-service", "recipes/subscribe-service/subscribe-events.ts", "SubscribeServiceEvents"],
  ["leader-election", "recipes/leader-election/options.ts", "LeaderElectionOptions"],
  ["leader-election", "recipes/leader-election/election-events.ts", "LeaderElectionEvents"],
  ["mutex", "recipes/mutex/options.ts", "MutexOptions"],
  ["mutex", "recipes/mutex/options.ts", "AcquireOptions"],
  ["queue", "recipes/queue/options.ts", "QueueOptions"],
  ["queue", "recipes/queue/options.ts", "EnqueueOptions"],
  ["queue", "recipes/queue/options.ts", "DequeueOptions"],
  ["queue", "recipes/queue/queue.ts", "QueueEvents"],
  ["storage", "recipes/storage/options.ts", "StorageWatchOptions"],
  ["cache-expirer", "recipes/cache-expirer/options.ts", "CacheExpirerOptions"],
  ["cache-expirer", "recipes/cache-expirer/cache-expirer.ts", "CacheExpirerEvents"],
  ["cancellation", "recipes/cancellation/options.ts", "CancellationOptions"],
  ["cancellation", "recipes/cancellation/cancellation.ts", "CancellationEvents"],
  ["confirmation", "recipes/confirmation/options.ts", "ConfirmationOptions"],
  ["confirmation", "recipes/confirmation/options.ts", "ConfirmationRequestOptions"],
  ["confirmation", "recipes/confirmation/confirmation.ts", "ConfirmationEvents"],
  ["cluster-monitor", "recipes/cluster-monitor/options.ts", "ClusterMonitorOptions"],
  ["cluster-monitor", "recipes/cluster-monitor/cluster-monitor.ts", "ClusterMonitorEvents"],
  ["lifecycle", "recipes/lifecycle/shutdown-options.ts", "ShutdownOptions"],
  ["client", "src/client-options.ts", "EtcdClientOptions"],
  ["client", "src/client-events.ts", "ClientEvents"],
  ["client", "src/tls-options.ts", "TlsOptions"],
  ["client", "src/kv/kv.ts", "IterateOptions"],
  ["client", "src/kv/kv.ts", "PutOptions"],
  ["client", "src/lease/leases.ts", "GrantLeaseOptions"],
  ["client", "src/watch/watch.ts", "WatchOptions"],
  ["client", "src/watch/mirror.ts", "MirrorOptions"],
  ["testing", "testing/start-etcd.ts", "StartEtcdOptions"],
  ["testing", "testing/tls-options.ts", "TlsSetup"],
  ["testing", "testing/auth-options.ts", "AuthSetup"],
].map(([page, path, name]) => ({ page: `${page}.md`, path: path as string, name }));

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

test("each error code is explained once", () => {
  const explained = [...read("docs/reference/errors.md").matchAll(/^\| `(ETCD_\w+)` \|/gm)].map(([, code]) => code);
  expect(explained).toEqual([...errorCodes]);
});

test.each(documented)("docs/reference/$page has each member of $name", ({ page, path, name }) => {
  const body = new RegExp(`^export interface ${name}\\b[^{]*\\{\\n(.*?)\\n\\}`, "ms").exec(read(path))?.[1] ?? "";
  const members = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??: /gm)].map(([, member]) => member);
  expect(members).not.toEqual([]);
  const text = read(`docs/reference/${page}`);
  expect(members.filter((member) => !text.includes(`\n| \`${member}\` |`))).toEqual([]);
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
