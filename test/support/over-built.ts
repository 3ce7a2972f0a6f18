import { dirname, join, relative, resolve } from "node:path";

/**
 * A plugin of Vite: what tests import of `src`, `recipes`, `testing` and `doors` is what `npm run build` made of it: one
 * file with all modules, and for each module a file that hands on what it exports. Node loads that in a fraction of the
 * time that it takes to compile each source anew for each test file, or to read 700 files.
 *
 * Not for tests that replace a module by `vi.mock`: what is not compiled here cannot be replaced here.
 *
 * @param checkout the folder that has `build` in it; what it has must be new
 */
export function overBuilt(checkout: string) {
  return {
    name: "etcd-recipes: over the built package",
    enforce: "pre" as const,
    resolveId(source: string, importer?: string): string | undefined {
      if (!source.startsWith(".") || importer === undefined) return undefined;
      const [, path] =
        /^((?:src|recipes|testing|doors)\/.*)\.ts$/.exec(relative(checkout, resolve(dirname(importer), source))) ?? [];
      return path && `${checkout}/build/tested/${path}.js`;
    },
  };
}

/** What `throughSecurity` puts in the place of modules of the project. */
const secured = new Map([
  ["testing/index.ts", "test/support/secure-testing.ts"],
  ["src/index.ts", "test/support/batching-client.ts"],
]);

/**
 * A plugin of Vite: tests start every etcd under mutual TLS with authentication, and their clients let writes travel
 * together.
 *
 * @param checkout the folder that has `test` in it
 */
export function throughSecurity(checkout: string) {
  return {
    name: "etcd-recipes: through TLS and users",
    enforce: "pre" as const,
    resolveId(source: string, importer?: string): string | undefined {
      if (!source.startsWith(".") || importer === undefined) return undefined;
      const replacement = secured.get(relative(checkout, resolve(dirname(importer), source)));
      // They themselves need what they replace.
      if (replacement === undefined || [...secured.values()].includes(relative(checkout, importer))) return undefined;
      return join(checkout, replacement);
    },
  };
}
