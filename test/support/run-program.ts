import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "./child.ts";

// A program needs JavaScript: these tests use what `npm run build` made, as the users of the package do.
const built = new URL("../../dist/esm/recipes.js", import.meta.url);

/** Runs an ES module. `etcd-recipes` in it means what was built here. */
export function runProgram(source: string, env: NodeJS.ProcessEnv = {}): Child {
  if (!existsSync(built)) throw new Error(`run \`npm run build\` first: there is no ${fileURLToPath(built)}`);
  const program = source.replaceAll('"etcd-recipes"', JSON.stringify(built.href));
  return runNode(["--input-type=module", "-e", program], env);
}

/** Runs one of `test/programs`. */
export function runProgramFile(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  return runNode([fileURLToPath(new URL(`../programs/${name}`, import.meta.url)), ...args], env);
}

/** Runs Node with these arguments. */
export function runNode(args: readonly string[], env: NodeJS.ProcessEnv = {}): Child {
  return startChild(process.execPath, args, { env: { ...process.env, ...env } });
}
