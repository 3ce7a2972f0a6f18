import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { bytesTag, varintTag, WireWriter } from "../../../src/connection/codec/wire-writer.ts";
import { shown } from "../../../src/errors/shown.ts";
import { EtcdClient } from "../../../src/index.ts";
import { message } from "../../support/http2-frames.ts";
import { etcdErrorOf } from "../../support/outcome.ts";

// A snapshot that does not come whole: a server that says what the test wants, and keeps to nothing.

const content = Buffer.from("what etcd has ".repeat(1_000));
const sum = createHash("sha256").update(content).digest();
const whole = Buffer.concat([content, sum]);

let server: Http2Server;
let etcd: EtcdClient;
let folder: string;
let file: string;
let asked = 0;
const sessions = new Set<ServerHttp2Session>();
let answer: (stream: ServerHttp2Stream) => void;

beforeAll(async () => {
  server = createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    asked++;
    answer(stream);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  etcd = new EtcdClient({ endpoints: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
});
afterAll(async () => {
  await etcd.close();
  for (const session of sessions) session.destroy();
  server.close();
});
beforeEach(async () => {
  asked = 0;
  onFirstPart = () => {};
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-snapshot-"));
  file = join(folder, "s.db");
});
afterEach(() => rm(folder, { recursive: true }));

/** A SnapshotResponse: field 2 is what remains, field 3 the bytes. */
function part(bytes: Buffer, remaining: number): Buffer {
  return message(new WireWriter().uint32(varintTag(2)).int64(remaining).uint32(bytesTag(3)).bytes(bytes).finish());
}

/** Sends these bytes in parts of so many, and ends with a status. */
function sends(bytes: Buffer, { size = 4_096, status = "0" } = {}): (stream: ServerHttp2Stream) => void {
  return (stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": status, "grpc-message": "it broke" }));
    for (let at = 0; at < bytes.length; at += size) {
      stream.write(part(bytes.subarray(at, at + size), Math.max(0, bytes.length - at - size)));
    }
    stream.end();
  };
}

test.each([4_096, 31, 33, whole.length])("one in parts of %d bytes is saved as it came", async (size) => {
  answer = sends(whole, { size });
  expect(await etcd.maintenance.snapshot(file)).toMatchObject({ bytes: whole.length, sha256: sum.toString("hex") });
  expect(await readFile(file)).toEqual(whole);
  expect(await readdir(folder)).toEqual(["s.db"]);
});

const flipped = Buffer.from(whole);
flipped[100] = (flipped[100] as number) ^ 1;

/** What the server does once the client has a first part. */
let onFirstPart = () => {};

/** Sends one part, and breaks when the client has it. */
const breaks = (how: (stream: ServerHttp2Stream) => void) => (stream: ServerHttp2Stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" });
  stream.write(part(whole.subarray(0, 4_096), whole.length - 4_096));
  onFirstPart = () => how(stream);
};

const failures: Readonly<Record<string, readonly [(stream: ServerHttp2Stream) => void, string, RegExp]>> = {
  "with a bit that is wrong": [sends(flipped), "ETCD_PROTOCOL", /do not end with their own sha256/],
  "without its sum": [sends(content), "ETCD_PROTOCOL", /do not end with their own sha256/],
  "shorter than a sum": [sends(whole.subarray(0, 10)), "ETCD_PROTOCOL", /what came are 10 bytes/],
  "with nothing in it": [sends(Buffer.alloc(0)), "ETCD_PROTOCOL", /what came are 0 bytes/],
  "that the server breaks off": [sends(whole.subarray(0, 8_192), { status: "14" }), "ETCD_UNAVAILABLE", /it broke/],
  "whose stream is reset": [breaks((stream) => stream.close(2)), "ETCD_UNAVAILABLE", /./],
  "whose link breaks": [breaks((stream) => stream.session?.destroy()), "ETCD_UNAVAILABLE", /./],
};

test.each(Object.keys(failures))("one %s fails, is not asked for again, and nothing of it stays", async (name) => {
  const [how, code, words] = failures[name] as (typeof failures)[string];
  answer = how;
  await writeFile(file, "an older one");
  const error = await etcdErrorOf(etcd.maintenance.snapshot(file, { onProgress: () => onFirstPart() }));
  expect(error).toMatchObject({ code, message: expect.stringMatching(words) });
  expect(error.message).toMatch(/^maintenance\.snapshot/);
  expect(asked).toBe(1);
  expect(await readdir(folder)).toEqual(["s.db"]);
  expect(await readFile(file, "utf8")).toBe("an older one");
});

test("a path at which there can be no file is refused by name, and etcd is not asked", async () => {
  const missing = join(folder, "none", "s.db");
  const error = await etcdErrorOf(etcd.maintenance.snapshot(missing));
  expect(error).toMatchObject({
    code: "ETCD_INVALID_OPTION",
    option: "file",
    outcomeUnknown: false,
    cause: expect.objectContaining({ code: "ENOENT" }),
  });
  const wanted = "maintenance.snapshot: file must be the path of a file";
  expect(error.message).toMatch(`${wanted}, in a folder that can be written to: "`);
  expect(error.message).toMatch(/: ENOENT: no such file or directory$/);
  for (const path of [folder, `${folder}/`]) {
    const refused = await etcdErrorOf(etcd.maintenance.snapshot(path));
    expect(refused).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "file", outcomeUnknown: false });
    expect(refused.message).toMatch(`${wanted}, not of a folder: "`);
  }
  expect(asked).toBe(0);
  expect(await readdir(folder)).toEqual([]);
});

test("what is there and is no file stays as it is, also behind a link, and etcd is not asked", async () => {
  const pipe = join(folder, "pipe");
  execFileSync("mkfifo", [pipe]);
  const link = join(folder, "link");
  await symlink("pipe", link);
  for (const path of [pipe, link]) {
    const refused = await etcdErrorOf(etcd.maintenance.snapshot(path));
    expect(refused).toMatchObject({ code: "ETCD_INVALID_OPTION", option: "file", outcomeUnknown: false });
    expect(refused.message).toBe(
      `maintenance.snapshot: file must be the path of a file, not of a pipe or a device: ${shown(path)}`,
    );
  }
  const circle = join(folder, "circle");
  await symlink("circle", circle);
  const refused = await etcdErrorOf(etcd.maintenance.snapshot(circle));
  expect(refused).toMatchObject({ code: "ETCD_INVALID_OPTION", cause: expect.objectContaining({ code: "ELOOP" }) });
  expect(refused.message).toMatch(/: ELOOP: too many symbolic links encountered$/);
  expect(asked).toBe(0);
  expect((await lstat(pipe)).isFIFO()).toBe(true);
  expect(await readdir(folder)).toEqual(["circle", "link", "pipe"]);
});

test("a link stays one: the file that it leads to is replaced, and made where there is none", async () => {
  answer = sends(whole);
  await mkdir(join(folder, "disk"));
  await mkdir(join(folder, "links"));
  await symlink("../disk/s.db", join(folder, "links", "second"));
  await symlink("links/second", join(folder, "first"));
  for (const before of ["none", "an older one"]) {
    if (before !== "none") await writeFile(join(folder, "disk", "s.db"), before);
    await etcd.maintenance.snapshot(join(folder, "first"));
    expect(await readFile(join(folder, "disk", "s.db"))).toEqual(whole);
    expect(await readlink(join(folder, "first"))).toBe("links/second");
    expect(await readdir(join(folder, "disk"))).toEqual(["s.db"]);
    expect(await readdir(join(folder, "links"))).toEqual(["second"]);
  }
});
