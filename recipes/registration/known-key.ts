import type { KeyValue } from "../../src/index.ts";
import type { KeyState } from "./next-step.ts";

/** What a mirror reported of a key. */
export interface Received {
  readonly kv: KeyValue | undefined;
  readonly revision: number;
}

/**
 * What is known of one key in etcd, from the answers to its steps and from a mirror that may be behind them or ahead of
 * them: the newer counts, by revision. After a wipe of etcd revisions prove nothing: an answer below what was known
 * when it was asked for is believed, and a list below it is a reason to look at the key.
 */
export class KnownKey {
  #state: KeyState | undefined;
  /** The revision that `#state` is of. */
  #revision = 0;
  /** `#revision` when the step was asked for. */
  #askedAt = 0;
  #sure = false;
  #mustLook = false;
  #looking = false;
  /**
   * Whether `#revision` may be of another history; what the mirror reports until a look has shown it waits in `#later`.
   */
  #doubtful = false;
  #later: Received | undefined;

  /** What is known to be there; undefined: nothing, or nothing is known. */
  get state(): KeyState | undefined {
    return this.#state;
  }

  /** Whether `state` is what etcd said, with no write on its way since. */
  get isSure(): boolean {
    return this.#sure;
  }

  /** Whether to read the key before anything else. */
  get mustLook(): boolean {
    return this.#mustLook;
  }

  /** The next step is asked for. */
  asked(): void {
    this.#askedAt = this.#revision;
    this.#looking = this.#mustLook;
  }

  /** Something makes it doubtful that the key is as it is known. */
  look(): void {
    this.#mustLook = true;
  }

  /** A write may have been done or not. */
  unsure(): void {
    this.#sure = false;
  }

  /** What is known went with its lease, or will. */
  forget(): void {
    this.#state = undefined;
    this.#revision = 0;
    this.#sure = false;
  }

  /**
   * What the mirror reports. `resynced`: of a history that may be another one.
   *
   * @returns `news`: now it is known. `doubt`: a look must show it. `nothing`: it was known already, or is known better
   */
  received(kv: KeyValue | undefined, revision: number, resynced: boolean): "news" | "doubt" | "nothing" {
    if (this.#doubtful) {
      this.#later = { kv, revision };
      return "nothing";
    }
    if (this.#sure && kv?.modRevision === this.#state?.modRevision) {
      // An earlier answer may show what came and went meanwhile.
      this.#revision = Math.max(this.#revision, revision);
      return "nothing";
    }
    if (revision < this.#revision) {
      // The mirror has not come to our own write yet, or etcd was wiped: then a look shows it.
      if (!resynced) return "nothing";
      this.#doubtful = true;
      this.#mustLook = true;
      return "doubt";
    }
    this.#learn(kv, revision);
    return "news";
  }

  /**
   * A step was answered, and this stands there at `revision`. @returns false if the mirror reported something newer:
   * that counts
   */
  answered(state: KeyState | undefined, revision: number): boolean {
    // An answer below what was known when it was asked for is of another history.
    if (revision < this.#askedAt) this.#revision = 0;
    if (revision < this.#revision) return false;
    this.#learn(state, revision);
    return true;
  }

  /**
   * Before `answered`, if the step was a look: it is of the history that etcd has now. @returns what the mirror
   * reported meanwhile
   */
  looked(): Received | undefined {
    if (!this.#looking) return undefined;
    const later = this.#later;
    if (this.#doubtful) this.#revision = 0;
    this.#doubtful = false;
    this.#later = undefined;
    this.#mustLook = false;
    return later;
  }

  #learn(state: KeyState | undefined, revision: number): void {
    this.#state = state;
    this.#revision = revision;
    this.#sure = true;
  }
}
