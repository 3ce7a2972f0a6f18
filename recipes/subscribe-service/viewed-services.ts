import { ClientClosedError, type EtcdClient } from "../../src/index.ts";
import { asError, onAbort, quietDeferred, type Runtime } from "../../src/internal/index.ts";
import type { FollowedServices, ListPart } from "./followed-services.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import type { ListSource } from "./list-source.ts";
import { LiveList, type TakenStep } from "./live-list.ts";
import type { ResolvedPick } from "./options.ts";
import type { ServiceInstance } from "./service-instance.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/** Whether an instance is in the part. */
export type InstancePredicate<Metadata> = (instance: ServiceInstance<Metadata>) => boolean;

/** The part of a list that a predicate lets through. It follows the list step by step, and ends with it. */
export class ViewedServices<Metadata> implements ListSource<Metadata>, ListPart<Metadata> {
  readonly etcd: EtcdClient;
  readonly runtime: Runtime;
  readonly list: LiveList<Metadata>;
  readonly prefix: string;
  readonly #whole: FollowedServices<Metadata>;
  readonly #matches: InstancePredicate<Metadata>;
  readonly #ending = new AbortController();
  readonly #ready = quietDeferred<void>();
  /** Takes it off the end of the whole, which may live for long. */
  readonly #release: () => void;
  #status: SubscribeStatus;
  #asked = false;
  /** What is emitted first, if it was not yet. */
  #beginning: TakenStep<Metadata> | undefined;

  constructor(whole: FollowedServices<Metadata>, matches: InstancePredicate<Metadata>, pick: ResolvedPick<Metadata>) {
    this.#whole = whole;
    this.#matches = matches;
    this.etcd = whole.etcd;
    this.runtime = whole.runtime;
    this.list = new LiveList(whole.runtime, pick);
    this.prefix = whole.prefix;
    this.#status = whole.status;
    const step = whole.asStep();
    if (step) this.#beginning = this.follow(step);
    void this.#begin();
    whole.views.add(this);
    this.#release = onAbort(whole.ended, () => this.#end(whole.ended.reason));
  }

  /** As that of a list that is made when this is first asked for: etcd is asked how far the list must be. */
  get ready(): Promise<void> {
    if (!this.#asked) {
      this.#asked = true;
      this.#whole.caughtUp().then(this.#ready.resolve, this.#ready.reject);
    }
    return this.#ready.promise;
  }

  get status(): SubscribeStatus {
    return this.#status;
  }

  get staleForMs(): number {
    return this.#whole.staleForMs;
  }

  get revision(): number {
    return this.#whole.revision;
  }

  get ended(): AbortSignal {
    return this.#ending.signal;
  }

  get whole(): number {
    return this.#whole.whole;
  }

  reported(instance: ServiceInstance<Metadata>, error: unknown): void {
    this.#whole.reported(instance, error);
  }

  async close(): Promise<void> {
    this.#end(new ClientClosedError(`the view of ${this.prefix} was closed`));
    this.statusChanged("closed");
    this.#whole.views.delete(this);
    this.#release();
  }

  follow({ changes, first }: ListStep<Metadata>): TakenStep<Metadata> {
    const warnings: Error[] = [];
    const part: ListChange<Metadata>[] = [];
    for (const change of changes) {
      if (change.type === "invalid") continue;
      const lets = change.type !== "put" || this.#lets(change.instance, warnings);
      part.push(lets ? change : { type: "delete", key: change.instance.key });
    }
    return { ...this.list.take({ changes: part, first }), warnings };
  }

  emit(taken: TakenStep<Metadata>): void {
    this.#tellBeginning();
    this.list.emit(taken);
  }

  statusChanged(status: SubscribeStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    this.list.notify(["status", status]);
  }

  failed(error: Error): void {
    this.list.notify(["failed", error]);
  }

  async #begin(): Promise<void> {
    // Nothing may be emitted before the caller had a chance to listen.
    await null;
    this.#tellBeginning();
  }

  #tellBeginning(): void {
    const beginning = this.#beginning;
    this.#beginning = undefined;
    if (beginning) this.list.emit(beginning);
  }

  #lets(instance: ServiceInstance<Metadata>, warnings: Error[]): boolean {
    try {
      return this.#matches(instance);
    } catch (error) {
      warnings.push(asError(error));
      return false;
    }
  }

  #end(reason: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#ready.reject(reason);
    this.list.finish();
  }
}
