import { prefix } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { delimitedPrefix } from "../delimited-prefix.ts";
import { durationText } from "../duration.ts";

export const cacheList: Command = {
  name: "cache ls",
  arguments: ["PREFIX"],
  summary: "what a CacheExpirer keeps, and for how long",
  async run({ words: [given = ""], etcd, output, signal }) {
    const below = delimitedPrefix(given);
    const rows: { id: string; expires: string; lease: string | undefined }[] = [];
    for await (const { key, text, lease } of etcd().iterate(prefix(below), { signal })) {
      rows.push({ id: key.slice(below.length), expires: expiry(text), lease });
    }
    output.table(["id", "expires", "lease"], rows);
    return undefined;
  },
};

function expiry(text: string): string {
  const leftMs = expiresAt(text) - Date.now();
  if (Number.isNaN(leftMs)) return "never";
  return leftMs > 0 ? `in ${durationText(leftMs)}` : "now";
}

function expiresAt(text: string): number {
  try {
    return Number((JSON.parse(text) as { expiresAt?: unknown } | null)?.expiresAt);
  } catch {
    return Number.NaN;
  }
}
