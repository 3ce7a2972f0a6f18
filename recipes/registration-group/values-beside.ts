import type { ConflictError, KeyValue } from "../../src/index.ts";
import { type Beside, folderOf, foreignFormat, isForeign, MOST_LOOKED_AT } from "../registration/internal.ts";
import type { RegistrationFormat } from "../registration-format/index.ts";

/**
 * Finds values beside the instances of a group that are of another format. What stands under its prefix is read once
 * for all instances that are looked at in one turn of the event loop: they may be thousands.
 */
export class ValuesBeside {
  readonly #entries: () => Iterable<KeyValue>;
  #folders: Map<string, KeyValue[]> | undefined;
  /** By folder and format: the first two, as one of them may be the instance's own. */
  readonly #foreign = new Map<string, Map<RegistrationFormat, readonly KeyValue[]>>();
  /** The instance that was looked at last for a warning. */
  #last: Beside | undefined;

  /** @param entries all that stands under the prefix now */
  constructor(entries: () => Iterable<KeyValue>) {
    this.#entries = entries;
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
    for (const kv of this.#inFolders().get(folder) ?? []) {
      if (isForeign(kv, instance)) foreign.push(kv);
      if (foreign.length === 2) break;
    }
    ofFormats.set(format, foreign);
    return foreign;
  }

  #inFolders(): Map<string, KeyValue[]> {
    if (this.#folders) return this.#folders;
    const folders = new Map<string, KeyValue[]>();
    this.#folders = folders;
    for (const kv of this.#entries()) {
      // A reader of a folder reads all that is below it.
      for (let slash = kv.key.lastIndexOf("/"); slash > 0; slash = kv.key.lastIndexOf("/", slash - 1)) {
        const folder = kv.key.slice(0, slash + 1);
        const values = folders.get(folder);
        if (!values) folders.set(folder, [kv]);
        else if (values.length < MOST_LOOKED_AT) values.push(kv);
      }
    }
    void Promise.resolve().then(() => this.#forget());
    return folders;
  }

  #forget(): void {
    this.#folders = undefined;
    this.#foreign.clear();
  }
}
