import { type KeyValue, StoredKeyValue } from "../model/key-value.ts";
import type { HistoryEvidence } from "./history-evidence.ts";
import type { Entries } from "./mirror-batch.ts";
import type { RecentDeletions } from "./recent-deletions.ts";

/** What is not more than this is proved whole, which costs hardly more than a sample. */
const WHOLE_ENTRIES = 128;
const WHOLE_BYTES = 64 * 1024;
/** Of what is more, so many of the entries that changed last are asked for besides the very last. */
const MOST_OTHERS = 3;

/**
 * What proves that a mirror's entries are what etcd had at `revision`: all of them where they are few, else a sample.
 */
export function mirrorEvidence(entries: Entries, revision: number, deletions: RecentDeletions): HistoryEvidence {
  const deleted = deletions.all;
  const whole = isSmall(entries) ? [...entries.values()] : undefined;
  if (whole) return { revision, whole, deleted };
  const [newest, ...others] = newestOf(entries.values(), 1 + MOST_OTHERS);
  return { revision, count: entries.size, newest, others, deleted };
}

function isSmall(entries: Entries): boolean {
  if (entries.size > WHOLE_ENTRIES) return false;
  let bytes = 0;
  for (const kv of entries.values()) bytes += kv.key.length + StoredKeyValue.lengthOf(kv);
  return bytes <= WHOLE_BYTES;
}

/** Those that changed last, the very last one first. */
function newestOf(kvs: Iterable<KeyValue>, most: number): KeyValue[] {
  const newest: KeyValue[] = [];
  for (const kv of kvs) {
    const least = newest[most - 1];
    if (least && least.modRevision >= kv.modRevision) continue;
    const place = newest.findIndex(({ modRevision }) => modRevision < kv.modRevision);
    newest.splice(place === -1 ? newest.length : place, 0, kv);
    if (newest.length > most) newest.pop();
  }
  return newest;
}
