import {
  type EtcdClient,
  type EtcdError,
  type KeyValue,
  type Mirror,
  type MirrorStatus,
  prefix as prefixRange,
} from "../../src/index.ts";
import { type RangeMark, readMark } from "./range-mark.ts";

export type MirrorStatusListener = (status: MirrorStatus, error?: EtcdError) => void;

/** Those that are shared, by client and prefix. */
const followed = new WeakMap<EtcdClient, Map<string, PrefixMirror>>();

/**
 * One Mirror of a prefix, and who uses it. A shared one is there for all recipes of this process that follow the prefix
 * through the same client: one watch and one copy of the entries, however many they are. It ends with the last of them;
 * who comes after its end gets a new one.
 */
export class PrefixMirror {
  readonly mirror: Mirror;
  readonly #etcd: EtcdClient;
  readonly #prefix: string;
  readonly #ending = new AbortController();
  readonly #users = new Set<MirrorStatusListener>();
  readonly #made = new WeakMap<object, WeakMap<KeyValue, unknown>>();
  #marking: Promise<RangeMark | undefined> | undefined;

  private constructor(etcd: EtcdClient, prefix: string, mirrors?: Map<string, PrefixMirror>) {
    this.#etcd = etcd;
    this.#prefix = prefix;
    this.mirror = etcd.mirror(prefixRange(prefix), {
      onStatus: (status, error) => {
        if ((status === "failed" || status === "closed") && mirrors?.get(prefix) === this) mirrors.delete(prefix);
        for (const notify of [...this.#users]) notify(status, error);
      },
    });
  }

  /** Whether the prefix is shared through this client already: by a mirror whose state is older than this call. */
  static exists(etcd: EtcdClient, prefix: string): boolean {
    return followed.get(etcd)?.has(prefix) ?? false;
  }

  /** @param onStatus called with what happens from now on; it must not throw, and is what `release()` takes */
  static shared(etcd: EtcdClient, prefix: string, onStatus: MirrorStatusListener): PrefixMirror {
    const mirrors = followed.get(etcd) ?? new Map<string, PrefixMirror>();
    followed.set(etcd, mirrors);
    let shared = mirrors.get(prefix);
    if (!shared) {
      shared = new PrefixMirror(etcd, prefix, mirrors);
      mirrors.set(prefix, shared);
    }
    shared.#users.add(onStatus);
    return shared;
  }

  /** One that is not shared: all that it has is newer than this call. */
  static own(etcd: EtcdClient, prefix: string, onStatus: MirrorStatusListener): PrefixMirror {
    const own = new PrefixMirror(etcd, prefix);
    own.#users.add(onStatus);
    return own;
  }

  /**
   * What its users have made of each entry, by how they make it, so that it is made once and not by each of them.
   * Undefined while there is one user alone, whom it would only cost.
   */
  made(how: object): WeakMap<KeyValue, unknown> | undefined {
    if (this.#users.size < 2) return undefined;
    const made = this.#made.get(how) ?? new WeakMap<KeyValue, unknown>();
    this.#made.set(how, made);
    return made;
  }

  /**
   * What etcd has under the prefix, read after the call: one read for all who ask in the same turn.
   *
   * @returns undefined when etcd is behind the mirror, which then is of another history and does not know it yet
   */
  mark(): Promise<RangeMark | undefined> {
    this.#marking ??= this.#mark();
    return this.#marking;
  }

  release(onStatus: MirrorStatusListener): void {
    if (!this.#users.delete(onStatus) || this.#users.size > 0) return;
    this.#ending.abort();
    void this.mirror.close();
  }

  async #mark(): Promise<RangeMark | undefined> {
    await null;
    this.#marking = undefined;
    const { revision } = this.mirror;
    const mark = await readMark(this.#etcd, this.#prefix, { signal: this.#ending.signal });
    return mark.revision < revision ? undefined : mark;
  }
}
