import { execFileSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { ServiceInstance, SubscribeServiceOptions } from "../../../recipes/index.ts";
import { SavedListFile } from "../../../recipes/subscribe-service/saved-list.ts";
import { FaultProxy } from "../../../testing/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { Recorder, subscribeEvents } from "../../support/recorder.ts";
import { addressesOf, RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

let lab: RegistryLab;
let folder: string;

beforeAll(async () => {
  lab = await RegistryLab.start();
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-list-"));
});
afterEach(() => lab.clear());
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** A file of a list of a, b and c, and a link to etcd that is cut. */
async function saved() {
  const prefix = lab.newPrefix();
  const snapshotFile = join(folder, prefix.split("/")[2] as string);
  for (const id of "abc")
    await lab.etcd.put(prefix + id, `{"Addr":"10.0.0.1:${id.charCodeAt(0)}","Metadata":{"zone":"z"}}`);
  const writer = lab.subscribe(prefix, { snapshotFile });
  await writer.ready;
  await writer.close();
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  await proxy.down();
  const start = (options: SubscribeServiceOptions = {}) => {
    const services = lab.subscribe(prefix, {
      client: lab.client({ endpoints: proxy.endpoint }),
      snapshotFile,
      ...options,
    });
    return { services, recorder: new Recorder(services, subscribeEvents) };
  };
  return { prefix, snapshotFile, proxy, start };
}

test("etcd is away at the start: the list is from the file, stale with its age; then etcd's, with what differs", async () => {
  const { prefix, snapshotFile, proxy, start } = await saved();
  expect((await stat(snapshotFile)).mode & 0o777).toBe(0o600);
  const { services, recorder } = start();
  let isReady = false;
  void services.ready.then(() => {
    isReady = true;
  });
  const list = await services.until(({ length }) => length > 0);
  expect(addressesOf(list)).toEqual(["10.0.0.1:97", "10.0.0.1:98", "10.0.0.1:99"]);
  expect(list[0]).toMatchObject({ id: "a", metadata: { zone: "z" }, createRevision: expect.any(Number) });
  expect(list).toContain(services.pick());
  expect(services.status).toBe("stale");
  await until(() => services.staleForMs > 50);
  expect(recorder.names.filter((name) => name !== "warning")).toEqual(["put", "put", "put", "change", "status"]);
  expect([isReady, services.revision]).toEqual([false, 0]);
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.delete(`${prefix}b`);
  await lab.etcd.put(`${prefix}b`, "10.0.0.2:80");
  await lab.etcd.put(`${prefix}d`, "10.0.0.4:80");
  recorder.clear();
  await proxy.up();
  await services.ready;
  expect(addressesOf(services.list())).toEqual(["10.0.0.2:80", "10.0.0.1:99", "10.0.0.4:80"]);
  const events = recorder.events.filter(({ name }) => ["put", "delete"].includes(name));
  const seen = events.map(({ name, args }) => `${name} ${(args[0] as ServiceInstance).id}`);
  expect(seen).toEqual(["delete a", "delete b", "put b", "put d"]);
  expect([services.status, services.staleForMs]).toEqual(["live", 0]);
  await services.close();
  const [, body = ""] = (await readFile(snapshotFile, "utf8")).split("\n");
  expect(JSON.parse(body).entries.map(({ key }: { key: string }) => key)).toEqual(
    ["b", "c", "d"].map((id) => prefix + id),
  );
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("a file that was cut or changed, of another version, prefix or namespace, or no list: a warning, and ignored", async () => {
  const { prefix, snapshotFile, start } = await saved();
  const good = await readFile(snapshotFile, "utf8");
  for (const [text, why] of [
    [good.slice(0, -20), "it was cut, or changed"],
    [good.slice(0, 30), "it is no saved list"],
    [good.replace(`${prefix}a`, `${prefix}x`), "it was cut, or changed"],
    [good.replace('"version":1', '"version":2'), "it is of version 2, not 1"],
    ["", "it is no saved list"],
    ["{}\n{}\n", "it is no saved list"],
  ] as const) {
    await writeFile(snapshotFile, text);
    const { services, recorder } = start();
    const ignored = `the list in ${snapshotFile} is ignored: ${why}`;
    await until(() => recorder.events.some(({ args }) => (args[0] as Error).message === ignored));
    expect([services.list().length, services.status]).toEqual([0, "connecting"]);
    expect(() => services.pick()).toThrow("is not there yet");
    await services.close();
  }
  await writeFile(snapshotFile, good);
  const others = [
    lab.subscribe(`${prefix}other/`, { snapshotFile }),
    lab.subscribe(prefix, { snapshotFile, client: lab.client({ namespace: "team/" }) }),
    lab.subscribe(prefix, { snapshotFile: folder }),
  ];
  const warnings = await Promise.all(
    others.map((services) => new Promise<Error>((resolve) => services.once("warning", resolve))),
  );
  expect(warnings.map(({ message }) => message)).toEqual([
    `the list in ${snapshotFile} is ignored: it is of the prefix ${prefix}, not ${prefix}other/`,
    `the list in ${snapshotFile} is ignored: it is of another namespace`,
    `the list in ${folder} is ignored: SubscribeService: snapshotFile must be the path of a file, not of a folder`,
  ]);
});

test("a removal of half of what the file has is held back as any other; values are read by the schema again", async () => {
  const { prefix, proxy, start } = await saved();
  const { services, recorder } = start({ maxDropRatio: 0.5 });
  await services.until(({ length }) => length === 3);
  await lab.etcd.delete(`${prefix}a`);
  await lab.etcd.delete(`${prefix}b`);
  await proxy.up();
  await until(() => services.heldBack === 2);
  expect(services.list().length).toBe(3);
  expect(recorder.names).not.toContain("delete");
  await proxy.down();
  const strict = {
    "~standard": { version: 1, vendor: "test", validate: () => ({ issues: [{ message: "no" }] }) },
  } as const;
  const rejecting = start({ metadata: strict });
  await until(() => rejecting.recorder.names.filter((name) => name === "invalid").length === 3);
  expect(rejecting.services.list()).toEqual([]);
});

test("a file that could not be written is written soon after it can be", async () => {
  const path = join(folder, "later", "list");
  const clock = new FakeClock();
  const warnings: string[] = [];
  const file = new SavedListFile({
    path,
    place: { prefix: "/svc/", namespace: "" },
    clock,
    known: () => ({ entries: [], ageMs: 0 }),
    onWarning: ({ message }) => warnings.push(message),
  });
  file.changed();
  clock.advance(1_000);
  await until(() => warnings.length === 1);
  await mkdir(join(folder, "later"));
  clock.advance(10_000);
  await until(() => readFile(path));
  await file.close();
  expect(warnings.length).toBe(1);
});

test("a file that cannot be written is one warning, and the list goes on", async () => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix, { snapshotFile: join(folder, "missing", "list") });
  const recorder = new Recorder(services, subscribeEvents);
  await services.ready;
  await lab.etcd.put(`${prefix}a`, "10.0.0.1:80");
  await services.until(({ length }) => length === 1);
  await services.close();
  const warnings = recorder.events
    .filter(({ name }) => name === "warning")
    .map(({ args }) => (args[0] as Error).message);
  expect(warnings).toEqual([expect.stringContaining("the list cannot be saved in ")]);
});

/** A list of nothing, as it is written to this path. */
async function write(path: string): Promise<string[]> {
  const warnings: string[] = [];
  const file = new SavedListFile({
    path,
    place: { prefix: "/svc/", namespace: "" },
    clock: new FakeClock(),
    known: () => ({ entries: [], ageMs: 0 }),
    onWarning: ({ message }) => warnings.push(message),
  });
  await file.read();
  file.changed();
  await file.close();
  return warnings;
}

test("a pipe at its place is neither read nor replaced, also behind a link: two warnings", async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const link = join(folder, "to-pipe");
  await symlink("pipe", link);
  const problem = "SubscribeService: snapshotFile must be the path of a file, not of a pipe or a device";
  for (const path of [pipe, link]) {
    expect(await write(path)).toEqual([
      `the list in ${path} is ignored: ${problem}`,
      `the list cannot be saved in ${path}: ${problem}`,
    ]);
  }
  expect((await lstat(pipe)).isFIFO()).toBe(true);
  expect(await readlink(link)).toBe("pipe");
});

test("a folder at its place is two warnings that say so, also behind a link", async () => {
  const path = join(folder, "in-place");
  await mkdir(path);
  await symlink("in-place", join(folder, "to-folder"));
  const problem = "SubscribeService: snapshotFile must be the path of a file, not of a folder";
  for (const place of [path, `${path}/`, join(folder, "to-folder")]) {
    expect(await write(place)).toEqual([
      `the list in ${place} is ignored: ${problem}`,
      `the list cannot be saved in ${place}: ${problem}`,
    ]);
  }
  expect(await readdir(path)).toEqual([]);
});

test("a link stays one: the file that it leads to is replaced, and made where there is none", async () => {
  const disk = join(folder, "disk");
  await mkdir(disk);
  const link = join(folder, "to-disk");
  await symlink("disk/list", link);
  for (const before of ["none", "an older one"]) {
    if (before !== "none") await writeFile(join(disk, "list"), before);
    const ignored = before === "none" ? [] : [`the list in ${link} is ignored: it is no saved list`];
    expect(await write(link)).toEqual(ignored);
    expect(await readFile(join(disk, "list"), "utf8")).toContain("etcd-recipes/list");
    expect(await readlink(link)).toBe("disk/list");
    expect(await readdir(disk)).toEqual(["list"]);
  }
});
