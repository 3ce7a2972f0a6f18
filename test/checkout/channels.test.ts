import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { channels } from "../../src/internal/index.ts";

const read = (path: string) => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), "utf8");
const page = read("docs/reference/channels.md");
const messages = read("src/internal/channel-messages.ts");

/** The name of each channel, and its message. */
const declared = new Map(
  [...messages.matchAll(/^ {2}"(etcd-recipes:[\w-]+)": (\w+);$/gm)].map(([, name = "", type = ""]) => [name, type]),
);

test("the reference lists every channel that the code publishes on, and no other", () => {
  const published = Object.values(channels).flatMap(({ names }) =>
    names.map((name) => /etcd-recipes:[\w-]+/.exec(name)?.[0]),
  );
  const documented = [...page.matchAll(/^### `(etcd-recipes:[\w-]+)`$/gm)].map(([, name]) => name);
  expect(documented).toEqual([...declared.keys()]);
  expect([...new Set(published)]).toEqual(documented);
});

test.each([...declared])("the table of %s has the fields of its message, and no other", (name, type) => {
  const [, section = ""] = page.split(`### \`${name}\`\n`);
  const documented = [...(section.split(/^##/m)[0] ?? "").matchAll(/^\| `(\w+)` \|/gm)].map(([, field]) => field);
  const [, body = ""] = new RegExp(`^export interface ${type}\\b[^{]*\\{\\n(.*?)\\n\\}`, "ms").exec(messages) ?? [];
  const fields = [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??: /gm)].map(([, field]) => field);
  expect(documented).toEqual(fields);
});
