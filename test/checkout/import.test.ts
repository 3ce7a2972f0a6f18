import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { run } from "../support/child.ts";

const dist = fileURLToPath(new URL("../../dist/", import.meta.url));

// What is built is imported in a process of its own. It reports which files beside modules were read, which packages
// were loaded, and what keeps it from ending.
const program = `
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
const read = [];
for (const name of ["openSync", "readFileSync", "readFile", "open"]) {
  const original = fs[name];
  fs[name] = (path, ...rest) => {
    read.push(String(path));
    return original(path, ...rest);
  };
}
syncBuiltinESMExports();
// Opened by whatever looks at it first.
process.stderr;
const before = process.getActiveResourcesInfo();
const door = await import(process.argv[1]);
// Files that were read to load the modules are closed by then.
await new Promise((resolve) => setTimeout(resolve, 100));
const after = process.getActiveResourcesInfo();
for (const resource of before) after.splice(after.indexOf(resource), 1);
const names = Object.keys(door).length;
const data = read.filter((path) => !/\\.([cm]?js|json)$/.test(path));
const grpc = read.filter((path) => /@grpc|protobufjs/.test(path));
fs.writeSync(1, JSON.stringify({ names, data, grpc, kept: after }));
`;

test.each(["esm", "cjs"].flatMap((form) => ["recipes", "client", "testing"].map((door) => [form, door])))(
  "importing %s/%s opens nothing, reads no data, loads no gRPC, and lets go",
  async (form, door) => {
    const args = ["--input-type=module", "--eval", program, `${dist}${form}/${door}.js`];
    const { stdout, stderr } = await run(process.execPath, args, { timeout: 50_000 });
    expect(stderr).toBe("");
    const { names, data, grpc, kept } = JSON.parse(stdout);
    expect(names).toBeGreaterThan(5);
    expect({ data, grpc, kept }).toEqual({ data: [], grpc: [], kept: [] });
  },
);

test.each(["esm", "cjs"])(
  "in %s, the door for tests loads no client before fakeEtcd() makes one of the main door's class",
  async (form) => {
    const loaded = filesLoadedBy(`${dist}${form}/`, "testing.js");
    const client = filesLoadedBy(`${dist}${form}/`, "client.js").filter((file) => hasClient(`${dist}${form}/${file}`));
    expect(client).toHaveLength(1);
    expect(loaded.filter((file) => client.includes(file))).toEqual([]);
    const program = `
    const [{ EtcdClient }, { fakeEtcd }] = await Promise.all(process.argv.slice(1).map((door) => import(door)));
    const etcd = await fakeEtcd();
    const client = etcd.client();
    await client.grantLease(5);
    console.log(client instanceof EtcdClient, (await client.put("k", "v")).revision);
    // An open watch keeps the process, as one of a real etcd does.
    const watch = client.watch("k");
    await watch.ready;
    setTimeout(() => client.put("k", "w"), 50).unref();
    for await (const { events } of watch) {
      console.log(events[0].kv.text);
      break;
    }
    await etcd.close();
  `;
    const args = ["--input-type=module", "--eval", program];
    const doors = ["recipes", "testing"].map((door) => `${dist}${form}/${door}.js`);
    const { stdout, stderr } = await run(process.execPath, [...args, ...doors], { timeout: 50_000 });
    expect({ stdout, stderr }).toEqual({ stdout: "true 2\nw\n", stderr: "" });
  },
);

/** The files of the package that come with one of them, those aside that it imports later. */
function filesLoadedBy(folder: string, file: string, seen = new Set<string>()): string[] {
  if (seen.has(file) || !existsSync(folder + file)) return [...seen];
  seen.add(file);
  const text = readFileSync(folder + file, "utf8");
  const atTop = /^(?:import|export)\b.*"\.\/([^"]+)";$|^(?:const|let) \S+ = require\("\.\/([^"]+)"\);$/gm;
  for (const [, imported, required] of text.matchAll(atTop)) filesLoadedBy(folder, imported ?? required ?? "", seen);
  return [...seen];
}

function hasClient(path: string): boolean {
  return /\bclass EtcdClient\b|EtcdClient = class\b/.test(readFileSync(path, "utf8"));
}
