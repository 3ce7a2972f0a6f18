import { dirname, relative, resolve } from "node:path";

/**
 * A plugin of Vite: what tests import of `src`, `recipes` and `testing` is the ES module that `npm run build` made of it. Node
 * loads it in a tenth of the time that it takes to compile each source anew for each test file.
 *
 * Not for tests that replace a module by `vi.mock`: what is not compiled here cannot be replaced here.
 *
 * @param checkout the folder that has `dist` in it; what it has must be new
 */
export function overBuilt(checkout: string) {
  return {
    name: "etcd-recipes: over the built package",
    enforce: "pre" as const,
    resolveId(source: string, importer?: string): string | undefined {
      if (!source.startsWith(".") || importer === undefined) return undefined;
      const [, path] =
        /^((?:src|recipes|testing)\/.*)\.ts$/.exec(relative(checkout, resolve(dirname(importer), source))) ?? [];
      return path && `${checkout}/dist/esm/${path}.js`;
    },
  };
}
