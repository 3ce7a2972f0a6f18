import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const papers = ["README.md", "README.zh-CN.md"] as const;
const [english, chinese] = papers.map((path) => sectionsOf(readFileSync(checkout + path, "utf8"))) as [
  Section[],
  Section[],
];

interface Section {
  readonly level: number;
  readonly title: string;
  readonly code: string[];
  prose: string;
}

describe.each([
  ["README.md", english],
  ["README.zh-CN.md", chinese],
])("%s", (_path, sections) => {
  const targets = sections.flatMap(({ prose }) =>
    [...prose.matchAll(/\]\(([^)]+)\)/g)].map(([, target = ""]) => target),
  );

  test("links to sections that it has", () => {
    const slugs = sections.map(({ title }) => `#${slug(title)}`);
    const broken = targets.filter((target) => target.startsWith("#") && !slugs.includes(target));
    expect(broken).toEqual([]);
  });

  test("links to files that are there", () => {
    const paths = targets.filter((target) => !/^(#|https?:)/.test(target));
    expect(paths.filter((path) => !existsSync(checkout + path))).toEqual([]);
    expect(targets.filter((target) => papers.some((path) => path === target))).toHaveLength(1);
  });
});

test("both READMEs have the same sections", () => {
  expect(chinese.map(({ level }) => level)).toEqual(english.map(({ level }) => level));
});

test("docs/protocol.md says of each field which test shows it, by a file that is there, or why it is left out", () => {
  const rows = readFileSync(`${checkout}docs/protocol.md`, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `"));
  expect(rows.length).toBeGreaterThan(40);
  const shown = /test: `|left out because \w/;
  expect(rows.filter((row) => !shown.test(row))).toEqual([]);
  const files = rows.flatMap((row) => [...row.matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, file]) => `test/${file}`));
  expect(files.filter((file) => !existsSync(checkout + file))).toEqual([]);
});

// What a translation keeps: code but for its comments and labels, names in the text, the form of its tables, numbers.
describe("the Chinese README keeps what the English one has", () => {
  test.each(english.map((section, index) => ({ ...section, index })))("in $title", (section) => {
    const translated = chinese[section.index];
    expect(translated?.code.map(withoutWords)).toEqual(section.code.map(withoutWords));
    expect(namesIn(translated)).toEqual(namesIn(section));
    expect(pagesIn(translated)).toEqual(pagesIn(section));
    expect(tableRowsIn(translated)).toBe(tableRowsIn(section));
    const numbers = numbersIn(translated); // It may have more: words of one language are digits in the other.
    expect(numbersIn(section).filter((number) => !numbers.includes(number))).toEqual([]);
  });
});

function sectionsOf(text: string): Section[] {
  const sections: Section[] = [];
  let fence: string[] | undefined;
  for (const line of text.split("\n")) {
    const [, hashes, title = ""] = /^(#+) (.+)$/.exec(line) ?? [];
    const last = sections.at(-1);
    if (fence !== undefined) {
      fence.push(line);
      if (line !== "```") continue;
      last?.code.push(fence.join("\n"));
      fence = undefined;
    } else if (line.startsWith("```")) fence = [line];
    else if (hashes !== undefined) sections.push({ level: hashes.length, title, code: [], prose: "" });
    else if (last !== undefined) last.prose += `${line}\n`;
  }
  return sections;
}

/** As GitHub makes them. */
function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
}

function withoutWords(code: string): string {
  if (code.startsWith("```mermaid")) return code.replace(/\|[^|\n]*\|/g, "||").replace(/"[^"\n]*"/g, '""');
  return code.replace(/(^|\s+)(\/\/|#) .*$/gm, "").trim();
}

function namesIn(section: Section | undefined): string[] {
  return [...new Set(section?.prose.match(/`[^`\n]+`/g))].sort();
}

/** What its links lead to outside of it; the READMEs link to each other. */
function pagesIn(section: Section | undefined): string[] {
  const targets = [...(section?.prose.matchAll(/\]\(([^#)][^)]*)\)/g) ?? [])].map(([, target = ""]) => target);
  return [...new Set(targets)].filter((target) => !papers.some((path) => path === target)).sort();
}

function tableRowsIn(section: Section | undefined): number {
  return section?.prose.match(/^\|/gm)?.length ?? 0;
}

function numbersIn(section: Section | undefined): string[] {
  const words = section?.prose.replace(/`[^`\n]+`|\]\([^)]*\)/g, "").replace(/(?<=\d) (?=\d{3})/g, "") ?? "";
  return [...new Set(words.match(/\d+(\.\d+)*/g))].sort();
}
