/** etcd takes 128 operations in a txn, and counts the one that each nested txn has on top. */
const MOST_OPERATIONS = 127;
/** etcd takes 1.5 MB in a request; a key stands up to three times in its part of it. */
const MOST_KEY_BYTES = 300_000;

/** What fits into one txn of nested ones, each about another key. The first key fits, however long it is. */
export class TxnRoom {
  #operations = 0;
  #bytes = 0;

  /** @returns whether there was room for it */
  take(key: string): boolean {
    const bytes = this.#bytes + Buffer.byteLength(key);
    if (this.#operations >= MOST_OPERATIONS || (this.#operations > 0 && bytes > MOST_KEY_BYTES)) return false;
    this.#operations++;
    this.#bytes = bytes;
    return true;
  }
}
