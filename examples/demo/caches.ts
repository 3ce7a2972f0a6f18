import type { Storage } from "etcd-recipes";
import { keys } from "../engine/shared/keys.ts";

/** The projects that have a build cache anywhere, as etcd has them. */
export class CacheView {
  /** Resolves when what was there already is known. */
  readonly ready: Promise<void>;
  readonly #projects = new Set<string>();

  constructor(storage: Storage) {
    const onPut = (project: string) => this.#projects.add(project);
    const onDelete = (project: string) => this.#projects.delete(project);
    this.ready = storage.watch(keys.caches, onPut, onDelete, { initial: "replay" }).ready;
  }

  get projects(): string[] {
    return [...this.#projects].sort();
  }

  has(project: string): boolean {
    return this.#projects.has(project);
  }
}
