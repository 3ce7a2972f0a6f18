import type { KeyValue, MirrorBatch } from "../../src/index.ts";

/** A map that does what a Mirror's batches say, deletes first, and objects to what cannot be. */
export class Replica {
  readonly entries = new Map<string, KeyValue>();
  readonly batches: MirrorBatch[] = [];

  /** @throws Error for a batch that does not fit the state that the reader has */
  apply(batch: MirrorBatch): void {
    if (batch.type === "snapshot" && this.batches.length > 0) throw new Error("a snapshot came in the middle");
    if (batch.type !== "snapshot" && this.batches.length === 0) throw new Error("the first batch is no snapshot");
    this.batches.push(batch);
    for (const kv of batch.deletes) {
      const known = this.entries.get(nameOf(kv));
      // A key that came and went within one step is reported as a change, but a difference has only what the reader
      // had.
      if (!known && batch.type !== "changes") throw new Error(`${kv.key} was deleted, and the reader never had it`);
      if (known && known.createRevision !== kv.createRevision) {
        throw new Error(
          `${kv.key} of ${kv.createRevision} was deleted, the reader has that of ${known.createRevision}`,
        );
      }
      this.entries.delete(nameOf(kv));
    }
    for (const kv of batch.puts) {
      const known = this.entries.get(nameOf(kv));
      if (known && known.createRevision !== kv.createRevision) {
        throw new Error(`${kv.key} was made again, and its deletion was not reported`);
      }
      this.entries.set(nameOf(kv), kv);
    }
  }
}

/** What distinguishes two states, as something that can be compared and printed. */
export function stateOf(kvs: Iterable<KeyValue>): string[] {
  return [...kvs]
    .map((kv) => `${nameOf(kv)}=${kv.text} c${kv.createRevision} m${kv.modRevision} v${kv.version} ${kv.lease ?? ""}`)
    .sort();
}

function nameOf(kv: KeyValue): string {
  return Buffer.from(kv.keyBytes).toString("latin1");
}
