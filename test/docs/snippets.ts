import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** Where a snippet is: the page, and the title of its section; those after the first with " 2", " 3". */
export interface SnippetPlace {
  readonly page: string;
  readonly title: string;
}

/** A block of TypeScript, or of plain JavaScript, in a page. */
export interface Snippet extends SnippetPlace {
  readonly code: string;
  /** By its first line: the section of the page whose first snippet it continues. */
  readonly continued?: string;
  /** By its first line: what the reader brings. */
  readonly yours: readonly string[];
}

/** Those of the README, of the index of the examples and of docs/, page by page in their order. */
export function readSnippets(): Snippet[] {
  const docs = readdirSync(join(checkout, "docs"), { recursive: true }).map((path) => `docs/${path}`);
  const pages = ["README.md", ...docs.filter((path) => path.endsWith(".md")).sort(), "examples/README.md"];
  return pages.flatMap((page) => snippetsOf(page, readFileSync(join(checkout, page), "utf8")));
}

function snippetsOf(page: string, text: string): Snippet[] {
  const snippets: Snippet[] = [];
  let title = "";
  let fence: { readonly language: string; readonly lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (fence === undefined) {
      title = /^#+ (.+)$/.exec(line)?.[1] ?? title;
      if (line.startsWith("```")) fence = { language: line.slice(3), lines: [] };
    } else if (line !== "```") {
      fence.lines.push(line);
    } else {
      if (/^(ts|js)$/.test(fence.language)) snippets.push(snippet(page, title, fence.lines, snippets));
      fence = undefined;
    }
  }
  return snippets;
}

function snippet(page: string, section: string, lines: readonly string[], before: readonly Snippet[]): Snippet {
  const [first = ""] = lines;
  const [, continued] = /^\/\/ .*?continues "(.+?)"/.exec(first) ?? [];
  const [, yours] = /^\/\/ .*?yours: (.+)$/.exec(first) ?? [];
  const number = 1 + before.filter(({ title }) => title === section || title.startsWith(`${section} `)).length;
  return {
    page,
    title: number === 1 ? section : `${section} ${number}`,
    code: `${lines.join("\n")}\n`,
    ...(continued && { continued }),
    yours: yours?.split(", ") ?? [],
  };
}

/**
 * Programs in a folder of their own within the checkout, where a reader's imports lead to the package that was built.
 */
export class Programs implements Disposable {
  readonly #folder: string;
  readonly #output: string;

  constructor(programs: readonly (SnippetPlace & { readonly source: string })[]) {
    mkdirSync(join(checkout, "build"), { recursive: true });
    this.#folder = mkdtempSync(join(checkout, "build/docs-"));
    for (const { source, ...place } of programs) writeFileSync(join(this.#folder, `${fileName(place)}.ts`), source);
    writeFileSync(join(this.#folder, "tsconfig.json"), JSON.stringify(this.#config()));
    const tsc = join(checkout, "node_modules/.bin/tsc");
    this.#output = spawnSync(tsc, ["-p", ".", "--pretty", "false"], { cwd: this.#folder, encoding: "utf8" }).stdout;
  }

  /** What the compiler says of a snippet. */
  errorsOf(place: SnippetPlace): string {
    const lines = this.#output.split("\n").filter((line) => line.startsWith(`${fileName(place)}.ts`));
    return lines.join("\n");
  }

  /** As in plain JavaScript: nothing but the types is taken away, and no syntax is made older. */
  #config() {
    const ofOurs = { noUnusedLocals: false, noUnusedParameters: false, erasableSyntaxOnly: true };
    return {
      extends: "../../tsconfig.json",
      compilerOptions: { ...ofOurs, target: "ESNext", lib: ["ESNext"], noEmit: false, rootDir: ".", outDir: "js" },
      include: ["*.ts"],
    };
  }

  pathOf(place: SnippetPlace): string {
    return join(this.#folder, `js/${fileName(place)}.js`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

function fileName({ page, title }: SnippetPlace): string {
  return `${page} ${title}`.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}
