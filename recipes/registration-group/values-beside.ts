import type { ConflictError, KeyValue, MirrorBatch } from "../../src/index.ts";
import { type Beside, folderOf, foreignFormat, isForeign, MOST_LOOKED_AT } from "../registration/internal.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";

/** By folder and key. */
type Folders = Map<string, Map<string, KeyValue>>;

/**
 * Finds values beside the instances of a group that are of another format. What stands under its prefix is read once,
 * when the first instance is looked at, and followed then: a look costs the same, however many instances there are.
 */
export class ValuesBeside {
  readonly #prefix: string;
  readonly #entries: () => Iterable<KeyValue>;
  #folders: Folders | undefined;
  /** By folder and format: the first two, as one of them may be the instance's own. */
  readonly #foreign = new Map<string, Map<RegistrationFormat, readonly KeyValue[]>>();
  /** The instance that was looked at last for a warning. */
  #last: Beside | undefined;

  /** @param entries all that stands under the prefix now */
  constructor(prefix: string, entries: () => Iterable<KeyValue>) {
    this.#prefix = prefix;
    this.#entries = entries;
  }

  changed({ type, puts, deletes }: MirrorBatch): void {
    this.#foreign.clear();
    // A whole list is read again when it is needed.
    if (type !== "changes") this.#folders = undefined;
    if (!this.#folders) return;
    // Of a key that was deleted and made again only the end counts.
    for (const { key } of deletes) this.#delete(this.#folders, key);
    for (const kv of puts) this.#put(this.#folders, kv);
  }

  /** @returns what is wrong beside an instance, undefined when nothing is */
  conflictWith(instance: Beside): ConflictError | undefined {
    const foreign = this.#foreignTo(instance).find(({ key }) => key !== instance.key);
    return foreign && foreignFormat(foreign, instance);
  }

  /** The same, but nothing for an instance in the folder and of the format of the last one: one warning says it. */
  newConflictWith(instance: Beside): ConflictError | undefined {
    const last = this.#last;
    this.#last = instance;
    const isKnown =
      last?.format === instance.format &&
      last.isChosen === instance.isChosen &&
      folderOf(last.key) === folderOf(instance.key);
    return isKnown ? undefined : this.conflictWith(instance);
  }

  #foreignTo(instance: Beside): readonly KeyValue[] {
    const { key, format, isChosen } = instance;
    const folder = folderOf(key);
    const place = `${isChosen} ${folder}`;
    const ofFormats = this.#foreign.get(place) ?? new Map<RegistrationFormat, readonly KeyValue[]>();
    this.#foreign.set(place, ofFormats);
    const known = ofFormats.get(format);
    if (known) return known;
    const foreign: KeyValue[] = [];
    let looked = 0;
    for (const kv of this.#inFolders().get(folder)?.values() ?? []) {
      if (isForeign(kv, instance)) foreign.push(kv);
      if (foreign.length === 2 || ++looked === MOST_LOOKED_AT) break;
    }
    ofFormats.set(format, foreign);
    return foreign;
  }

  #inFolders(): Folders {
    if (this.#folders) return this.#folders;
    this.#folders = new Map();
    for (const kv of this.#entries()) this.#put(this.#folders, kv);
    return this.#folders;
  }

  #put(folders: Folders, kv: KeyValue): void {
    for (const folder of this.#foldersOf(kv.key)) {
      const values = folders.get(folder);
      if (values) values.set(kv.key, kv);
      else folders.set(folder, new Map([[kv.key, kv]]));
    }
  }

  #delete(folders: Folders, key: string): void {
    for (const folder of this.#foldersOf(key)) {
      const values = folders.get(folder);
      values?.delete(key);
      if (values?.size === 0) folders.delete(folder);
    }
  }

  /** A reader of a folder reads all that is below it. */
  *#foldersOf(key: string): Iterable<string> {
    const last = Math.max(1, this.#prefix.length - 1);
    for (let slash = key.lastIndexOf("/"); slash >= last; slash = key.lastIndexOf("/", slash - 1)) {
      yield key.slice(0, slash + 1);
    }
  }
}
