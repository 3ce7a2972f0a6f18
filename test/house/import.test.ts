import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));

// What is built is imported in a process of its own; it tells which .proto files were read and what keeps it from ending.
const program = `
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const protos = [];
for (const name of ["openSync", "readFileSync", "readFile", "open"]) {
  const original = fs[name];
  fs[name] = (path, ...rest) => {
    if (String(path).endsWith(".proto")) protos.push(String(path));
    return original(path, ...rest);
  };
}
syncBuiltinESMExports();
// Opened by whoever looks at it first; debug asks whether it is a terminal.
process.stderr;
const before = process.getActiveResourcesInfo();
const door = await import(process.argv[1]);
// Files that were read to load the modules are closed by then.
await new Promise((resolve) => setTimeout(resolve, 100));
const after = process.getActiveResourcesInfo();
for (const resource of before) after.splice(after.indexOf(resource), 1);
const names = Object.keys(door).length;
fs.writeSync(1, JSON.stringify({ names, protos, kept: after }));
`;

test.each(["recipes", "src", "testing"])("importing %s opens nothing, reads no .proto, and lets go", async (room) => {
  const args = ["--input-type=module", "--eval", program, `${dist}${room}/index.js`];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 });
  expect(stderr).toBe("");
  const { names, protos, kept } = JSON.parse(stdout);
  expect(names).toBeGreaterThan(5);
  expect({ protos, kept }).toEqual({ protos: [], kept: [] });
});
