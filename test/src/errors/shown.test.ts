import { expect, test } from "vitest";
import { Storage } from "../../../recipes/index.ts";
import { shown } from "../../../src/errors/shown.ts";
import { EtcdClient } from "../../../src/index.ts";

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
  [`http://me:${"x".repeat(100)}hunter2@a`, "http://a"],
])("of the URL %j an error shows %j", (url, rest) => {
  expect(shown(url)).toBe(JSON.stringify(rest));
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
