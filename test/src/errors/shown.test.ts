import { inspect } from "node:util";
import { expect, test } from "vitest";
import { Storage } from "../../../recipes/index.ts";
import { quoted, shown, shownUrl } from "../../../src/errors/shown.ts";
import { EtcdClient } from "../../../src/index.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

test.each([
  ["http://me:hunter2@a", "http://a"],
  ["http://hunter2@a", "http://a"],
  ["HTTPS://me:hunt/er?2@a", "HTTPS://a"],
  ["http://me:hunter2@a:1,http://me:hunter2@b:1", "http://b:1"],
  [" http://me:hunter2@a", "a"],
  ["me:hunter2@a", "a"],
  ["hunter2@a:2379", "a:2379"],
  ["http://a/?key=hunter2", "http://a/"],
  ["http://a#hunter2", "http://a"],
  ["a:2379?hunter2", "a:2379"],
  ["a:2379/#hunter2", "a:2379/"],
  ["//me:hunter2@a", "//a"],
  ["https://me:hunter2", "https://..."],
  ["https://me:123456", "https://..."],
  ["https://me:hunter2#a", "https://..."],
  ["https://me:hunter2/a", "https://..."],
  ["https://me:hunter2%40host:2379", "https://..."],
  ["https://me%3Ahunter2%40host", "https://..."],
  ["http://https://me:hunter2", "http://..."],
  ["the URL https://me:hunter2", "..."],
  ["http://me:hunter2@a:1,http://me:hunter2", "http://..."],
  [`http://me:${"x".repeat(100)}hunter2@a`, "http://a"],
])("of the URL %j an error shows %j", (url, rest) => {
  expect(shown(url)).toBe(JSON.stringify(rest));
  expect(shownUrl(url)).toBe(JSON.stringify(rest));
});

test.each([
  ["hunter2@a", "a"],
  ["/hunter2@a", "a"],
  ["me:hunter2", "..."],
  ["me:hunter2/a", "..."],
  ["-----BEGIN PRIVATE KEY-----\nhunter2", "..."],
])("of the text %j in the place of a URL an error shows %j", (text, rest) => {
  expect(shownUrl(text)).toBe(JSON.stringify(rest));
});

test.each([
  "a",
  "a:2379",
  "http://",
  "http://a:99999",
  "http://[::1]:2379/a",
  "http://[fe80::1%eth0]/",
  "unix:///a:b.sock",
])("the URL %j has no secret, and is shown whole", (url) => {
  expect(shownUrl(url)).toBe(JSON.stringify(url));
});

test.each([
  "oidc:alice@example.com",
  "nodir/etcd-2026-11-30T12:00@node1.db",
  "C:\\backups\\etcd@prod.db",
  "http://a?b",
])("the name or path %j is shown whole", (name) => {
  expect(quoted(name)).toBe(JSON.stringify(name));
});

test.each(["alice@example.com", "what?", "#1", "a: b", "10.0.0.1:80", "/backup/10:00#1@b.db", "http://a:1/b"])(
  "%j has no secret, and is shown whole",
  (text) => {
    expect(shown(text)).toBe(JSON.stringify(text));
  },
);

test("a text of a megabyte that is nearly a URL is shown at once", () => {
  const colons = ":".repeat(1_000_000);
  for (const text of [colons, `${colons}1`, `@${colons}`, `http://${colons}?`]) {
    expect(shown(text).length).toBeLessThan(70);
    expect(shownUrl(text).length).toBeLessThan(70);
  }
});

test.each(["http://me:hunter2@a", "http://a?hunter2", "me:hunter2@a"])(
  "%s in the place of options is refused without its secret",
  (url) => {
    const rest = JSON.stringify(url.replace("me:hunter2@", "").replace("?hunter2", ""));
    expect(() => new EtcdClient(url as never)).toThrow(`EtcdClient: options must be a plain object, not ${rest}`);
    expect(() => new Storage({ client: url as never })).toThrow(
      `Storage: client must be an EtcdClient of this package, or options for one, such as { endpoints: "http://127.0.0.1:2379" }, not ${rest}`,
    );
  },
);

test.each(["https://me:hunter2", "me:hunter2", "https://me:hunter2%40host:2379"])(
  "the endpoint %s, whose host is forgotten, is refused without its password by each that takes one",
  async (endpoint) => {
    await using etcd = new EtcdClient({ endpoints: "https://a" });
    const calls = [
      () => new EtcdClient({ endpoints: endpoint }),
      () => etcd.setEndpoints(endpoint),
      () => etcd.health({ endpoint }),
      () => etcd.maintenance.status({ endpoint }),
      () => etcd.cluster.add(endpoint),
    ];
    for (const call of calls) {
      const error = await etcdErrorOf(Promise.resolve().then(call));
      expect(error).toMatchObject({
        code: "ETCD_INVALID_OPTION",
        message: expect.stringMatching(/"(https?:\/\/)?\.\.\."/),
      });
      expect(inspect(error)).not.toContain("hunter2");
    }
  },
);

test("the name of a user and the path of a snapshot are shown as they are given", async () => {
  await using etcd = new EtcdClient({ endpoints: "http://127.0.0.1:9", requestTimeoutMs: 50, warnUnreachable: false });
  const name = "oidc:alice@example.com";
  expect(await etcdErrorOf(etcd.auth.users.get(name))).toMatchObject({ message: expect.stringContaining(`"${name}"`) });
  expect(await etcdErrorOf(etcd.auth.roles.get(name))).toMatchObject({ message: expect.stringContaining(`"${name}"`) });
  const path = "nodir/etcd-2026-11-30T12:00@node1.db";
  expect(await etcdErrorOf(etcd.maintenance.snapshot(path))).toMatchObject({
    code: "ETCD_INVALID_OPTION",
    message: expect.stringContaining(`"${path}"`),
  });
});
