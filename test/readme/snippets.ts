import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** A block of TypeScript in the README. */
export interface Snippet {
  /** The title of its section; those of one section after the first with " 2", " 3". */
  readonly name: string;
  readonly code: string;
  /** By its first line: the section whose first snippet it continues. */
  readonly continued?: string;
  /** By its first line: what the reader brings. */
  readonly yours: readonly string[];
}

/** Those of README.md, in its order. */
export function readSnippets(text = readFileSync(join(checkout, "README.md"), "utf8")): Snippet[] {
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
      if (fence.language === "ts") snippets.push(snippet(title, fence.lines, snippets));
      fence = undefined;
    }
  }
  return snippets;
}

function snippet(title: string, lines: readonly string[], before: readonly Snippet[]): Snippet {
  const [first = ""] = lines;
  const [, continued] = /^\/\/ .*?continues "(.+?)"/.exec(first) ?? [];
  const [, yours] = /^\/\/ .*?yours: (.+)$/.exec(first) ?? [];
  const number = 1 + before.filter(({ name }) => name === title || name.startsWith(`${title} `)).length;
  return {
    name: number === 1 ? title : `${title} ${number}`,
    code: `${lines.join("\n")}\n`,
    ...(continued && { continued }),
    yours: yours?.split(", ") ?? [],
  };
}

/** Programs in a folder of their own within the checkout, where a reader's imports lead to the package that was built. */
export class Programs implements Disposable {
  readonly #folder: string;
  /** What the compiler says, by the name of the program. */
  readonly errors = new Map<string, string>();

  /** @param sources TypeScript by name */
  constructor(sources: ReadonlyMap<string, string>) {
    mkdirSync(join(checkout, "build"), { recursive: true });
    this.#folder = mkdtempSync(join(checkout, "build/readme-"));
    for (const [name, source] of sources) writeFileSync(join(this.#folder, `${fileName(name)}.ts`), source);
    writeFileSync(join(this.#folder, "tsconfig.json"), JSON.stringify(this.#config()));
    const tsc = join(checkout, "node_modules/.bin/tsc");
    const { stdout } = spawnSync(tsc, ["-p", ".", "--pretty", "false"], { cwd: this.#folder, encoding: "utf8" });
    for (const name of sources.keys()) {
      const lines = stdout.split("\n").filter((line) => line.startsWith(`${fileName(name)}.ts`));
      this.errors.set(name, lines.join("\n"));
    }
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

  pathOf(name: string): string {
    return join(this.#folder, `js/${fileName(name)}.js`);
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true });
  }
}

function fileName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}
