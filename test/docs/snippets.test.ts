import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { runNode } from "../support/run-program.ts";
import { ReadersWorld } from "./readers-world.ts";
import { Programs, readSnippets, type Snippet } from "./snippets.ts";
import { theEnd, toItsEnd, type Use } from "./use.ts";
import { uses } from "./uses.ts";

let world: ReadersWorld;
let programs: Programs;

const snippets = readSnippets();
const isRun = ({ page, title }: Snippet) => uses[page]?.[title] !== undefined;

function find(page: string, title: string): Snippet {
  const found = snippets.find((snippet) => snippet.page === page && snippet.title === title);
  return found ?? expect.fail(`${page} has no snippet "${title}"`);
}

/** What it continues, with what the reader brings: of a snippet that is only compiled, anything. */
function codeOf(snippet: Snippet): string {
  const { page, title, code, continued, yours } = snippet;
  const before = continued === undefined ? "" : codeOf(find(page, continued));
  const given = isRun(snippet) ? uses[page]?.[title]?.yours : undefined;
  const brought = given ?? Object.fromEntries(isRun(snippet) ? [] : yours.map((name) => [name, anything(name)]));
  expect([...yours].sort(), `what is the reader's in "${title}"`).toEqual(Object.keys(brought).sort());
  return `${before}${Object.values(brought).join("\n")}\n${code}`;
}

function anything(name: string): string {
  return `declare const ${name}: any;`;
}

beforeAll(async () => {
  world = await ReadersWorld.open();
  const sources = snippets.map((snippet) => {
    const { added = "", goesOn }: Use = uses[snippet.page]?.[snippet.title] ?? {};
    return { ...snippet, source: world.adapt(`${codeOf(snippet)}${added}\n${goesOn ? "" : theEnd}`) };
  });
  programs = new Programs(sources);
});
afterAll(async () => {
  programs?.[Symbol.dispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.clear());

test("each snippet that is to be run is there, and all of the README are", () => {
  const run = Object.entries(uses).flatMap(([page, titles]) => Object.keys(titles).map((title) => `${page}: ${title}`));
  expect(snippets.filter(isRun).map(({ page, title }) => `${page}: ${title}`)).toEqual(run);
  expect(snippets.filter((snippet) => snippet.page === "README.md" && !isRun(snippet))).toEqual([]);
});

test("all snippets compile", () => {
  const errors = snippets.map((snippet) => programs.errorsOf(snippet)).filter((text) => text !== "");
  expect(errors).toEqual([]);
});

test.each(snippets.filter(isRun))("$page: $title: it runs as plain JavaScript", async ({ page, title }) => {
  const use: Use = uses[page]?.[title] ?? {};
  const { args = (path) => [path], env = () => world.env, before, check = toItsEnd } = use;
  await before?.(world);
  await using program = runNode(args(programs.pathOf({ page, title })), env(world));
  await check(program, { world, programs });
});
