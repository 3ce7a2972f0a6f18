import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** Rooms and modules of Node that reach outside of the process. */
const outside = /^(testing\/(?!fake-etcd)|node:(child_process|net|http|https|http2|tls|dgram|worker_threads)$)/;

/** What would meet the next test file in the same process. */
const changesProcess = [
  /\bprocess\.env(\.\w+|\[[^\]]+\]) *(\?\?)?=[^=]/,
  /delete process\.env|Object\.assign\(process\.env|stubEnv/,
  /\bprocess\.(on|once|chdir|emitWarning)\b/,
  /defineProperty\(process\b/,
  /\bglobalThis\.\w+ *=[^=]/,
  /\bvi\.(mock|doMock|stub\w+|spyOn|useFakeTimers|resetModules)\(/,
  /\b(setDefaultClient|defaultClient)\(/,
  // What others left would be counted, too.
  /\b(collectGarbage|memoryUsage|heapUsed|getActiveResourcesInfo)\b/,
  /\bcreateDebug\b/,
];

/** A module of the project that a test replaces. */
const replacesModule = /\bvi\.(mock|doMock)\(\s*"\./;

/** Test files, by their paths within the checkout. */
export interface TestFiles {
  /**
   * They compute and nothing else: no etcd, no socket, no other process, and they leave their own as it was. What one
   * etcd says of them every etcd says, and several can share a process.
   */
  readonly logic: readonly string[];
  /** They replace modules of the project, which they must get as sources. */
  readonly mocking: readonly string[];
  /** They talk to an etcd, a socket or another process, and leave their own as it was: several can share one. */
  readonly shared: readonly string[];
  /** The others: they change or measure their own process. */
  readonly alone: readonly string[];
}

/**
 * Looks at what test files import and call.
 *
 * @param checkout the folder that has `test` in it
 */
export function sortTestFiles(checkout: string): TestFiles {
  const files = readdirSync(join(checkout, "test"), { recursive: true, encoding: "utf8" });
  const tests = files.filter((file) => file.endsWith(".test.ts")).map((file) => `test/${file}`);
  const sorted = { logic: [] as string[], mocking: [] as string[], shared: [] as string[], alone: [] as string[] };
  for (const path of tests.sort()) {
    const { texts, imported } = sourcesOf(checkout, path);
    if (texts.some((text) => replacesModule.test(text))) sorted.mocking.push(path);
    else if (changes(texts)) sorted.alone.push(path);
    else if (imported.some((name) => outside.test(name))) sorted.shared.push(path);
    else sorted.logic.push(path);
  }
  return sorted;
}

function changes(texts: readonly string[]): boolean {
  return texts.some((text) => changesProcess.some((pattern) => pattern.test(text)));
}

/** The text of a test file and of what it imports of `test`, and the names of whatever else those import. */
function sourcesOf(checkout: string, path: string, seen = new Set<string>()): { texts: string[]; imported: string[] } {
  seen.add(path);
  const text = readFileSync(join(checkout, path), "utf8");
  const sources = { texts: [text], imported: [] as string[] };
  const atLineStart = text.matchAll(/^(?:import|export|\}).*?"([^"\n]+)";$/gm);
  for (const [, name = ""] of [...atLineStart, ...text.matchAll(/\bimport\(\s*"([^"\n]+)"/g)]) {
    const target = name.startsWith(".") ? relative(checkout, resolve(checkout, dirname(path), name)) : name;
    if (!target.startsWith("test/")) sources.imported.push(target);
    // A program that a test writes may import what is not here.
    else if (!seen.has(target) && existsSync(join(checkout, target))) {
      const { texts, imported } = sourcesOf(checkout, target, seen);
      sources.texts.push(...texts);
      sources.imported.push(...imported);
    }
  }
  return sources;
}
