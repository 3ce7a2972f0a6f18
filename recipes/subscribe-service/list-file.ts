import { createHash, randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import * as z from "zod/mini";
import { InvalidOptionError, type KeyValue, leaseId } from "../../src/index.ts";
import { once, placeOfFile, unlessMissing } from "../../src/internal/index.ts";
import { InvalidValueError } from "../errors/index.ts";

/** A list of some 100 000 services; what is larger is neither written nor read. */
export const LARGEST_FILE_BYTES = 64 * 1024 * 1024;

const FORMAT = "etcd-recipes/list";
const VERSION = 1;

const headSchema = once(() => z.object({ format: z.literal(FORMAT), version: z.number(), sha256: z.string() }));

const bodySchema = once(() =>
  z.object({
    prefix: z.string(),
    namespace: z.string(),
    /** When the list was last known to be true: milliseconds since the epoch. */
    knownAtMs: z.number(),
    entries: z.array(
      z.object({
        key: z.string(),
        /** In base64: a value can be any bytes. */
        value: z.string(),
        createRevision: z.number(),
        modRevision: z.number(),
        version: z.number(),
        lease: z.optional(z.string()),
      }),
    ),
  }),
);

/** Of what a list is. */
export interface ListPlace {
  readonly prefix: string;
  readonly namespace: string;
}

export interface SavedList {
  readonly knownAtMs: number;
  readonly entries: readonly KeyValue[];
}

/**
 * Two lines of JSON: what it is and the sum of the second, and the list. @throws InvalidValueError if it is too large
 */
export function encodeList({ prefix, namespace }: ListPlace, knownAtMs: number, kvs: Iterable<KeyValue>): string {
  const entries = [...kvs]
    .filter(({ key }) => !key.includes("\ufffd"))
    .map(({ key, value, createRevision, modRevision, version, lease }) => {
      return { key, value: Buffer.from(value).toString("base64"), createRevision, modRevision, version, lease };
    });
  const body = JSON.stringify({ prefix, namespace, knownAtMs, entries });
  const text = `${JSON.stringify({ format: FORMAT, version: VERSION, sha256: sumOf(body) })}\n${body}\n`;
  if (Buffer.byteLength(text) > LARGEST_FILE_BYTES) {
    throw new InvalidValueError(
      `the list has ${entries.length} services, more than the ${LARGEST_FILE_BYTES} bytes of a file`,
    );
  }
  return text;
}

/** @throws InvalidValueError that says why it cannot be used */
export function decodeList(text: string, { prefix, namespace }: ListPlace): SavedList {
  const [first = "", body = "", end] = text.split("\n");
  const head = headSchema().safeParse(parsed(first));
  if (!head.success) throw new InvalidValueError("it is no saved list");
  if (head.data.version !== VERSION)
    throw new InvalidValueError(`it is of version ${head.data.version}, not ${VERSION}`);
  if (end === undefined || sumOf(body) !== head.data.sha256) throw new InvalidValueError("it was cut, or changed");
  const list = bodySchema().safeParse(parsed(body));
  if (!list.success) throw new InvalidValueError("it is no saved list");
  const { knownAtMs, entries, ...place } = list.data;
  if (place.prefix !== prefix) throw new InvalidValueError(`it is of the prefix ${place.prefix}, not ${prefix}`);
  if (place.namespace !== namespace) throw new InvalidValueError("it is of another namespace");
  return { knownAtMs, entries: entries.map(toKeyValue) };
}

/** @returns undefined when there is no file @throws why it cannot be read */
export async function readListFile(path: string, place: ListPlace): Promise<SavedList | undefined> {
  const handle = await unlessMissing(open(await placeOfFile(path, refused), "r"));
  if (!handle) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > LARGEST_FILE_BYTES) throw new InvalidValueError(`it has ${size} bytes, more than ${LARGEST_FILE_BYTES}`);
    return decodeList(await handle.readFile("utf8"), place);
  } finally {
    await handle.close();
  }
}

/** Whatever ends this process, the file is as it was before, or whole. For its owner alone to read. */
export async function writeListFile(path: string, text: string): Promise<void> {
  const place = await placeOfFile(path, refused);
  const part = `${place}.${randomUUID()}.part`;
  try {
    const handle = await open(part, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, place);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    throw error;
  }
}

function refused(problem: string): InvalidOptionError {
  return new InvalidOptionError("SubscribeService", "snapshotFile", problem);
}

function sumOf(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function toKeyValue({
  key,
  value,
  lease,
  ...revisions
}: z.infer<ReturnType<typeof bodySchema>>["entries"][number]): KeyValue {
  const bytes = Buffer.from(value, "base64");
  const kv = { key, keyBytes: Buffer.from(key), value: bytes, text: bytes.toString("utf8"), ...revisions };
  return lease === undefined ? kv : { ...kv, lease: leaseId(lease) };
}
