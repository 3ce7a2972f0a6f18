// How the steps of check.mjs run other programs.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export const checkout = fileURLToPath(new URL("../..", import.meta.url));

const limitMs = 5 * 60_000;

/** Runs a program; resolves with its output, rejects with all that it printed. */
export function command(program, args, { cwd = checkout, env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, env, timeout: limitMs, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const how = error.killed ? `was not done within ${limitMs} ms` : `ended with ${error.code ?? error.signal}`;
      reject(
        new Error([`${program} ${args.join(" ")} ${how}`, stdout.trim(), stderr.trim()].filter(Boolean).join("\n")),
      );
    });
  });
}

/** A development tool of the checkout. */
export function tool(name, args, options) {
  return command(`${checkout}node_modules/.bin/${name}`, args, options);
}

export function npm(args, options) {
  return command("npm", args, options);
}
