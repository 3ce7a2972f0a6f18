import { ClientClosedError } from "../../src/index.ts";
import { asError, onAbort, quietDeferred, type Runtime, showAs } from "../../src/internal/index.ts";
import type { ListChange, ListStep } from "./list-change.ts";
import type { ResolvedPick } from "./options.ts";
import type { ServiceInstance } from "./service-instance.ts";
import { ServiceList } from "./service-list.ts";
import type { SubscribeStatus } from "./subscribe-events.ts";

/** The list that a view is a part of, and which part. */
export interface ServiceViewParts<Metadata> {
  readonly runtime: Runtime;
  readonly prefix: string;
  readonly status: SubscribeStatus;
  readonly staleForMs: number;
  readonly revision: number;
  readonly ended: AbortSignal;
  /** Resolves when it is ready, and as new as etcd was at the call. */
  caughtUp(): Promise<void>;
  /** How many services it has. */
  readonly size: number;
  /** What is in it now, as a first step; undefined before its first list. */
  asStep(): ListStep<Metadata> | undefined;
  /** Which instances are in the view. */
  matches(instance: ServiceInstance<Metadata>): boolean;
  reported(instance: ServiceInstance<Metadata>, error: unknown): void;
  /** The view is no more. */
  onClosed(): void;
}

/**
 * The part of a list that a filter lets through, with a strategy of its own. It costs no watch: it is told by the list
 * that it is a part of, and ends with it. An instance that a change lets in is told as `put`, one that it takes out as
 * `delete`.
 *
 * Guaranteed and not guaranteed is what is so of the whole list. What a filter throws keeps the instance out and is
 * told as `warning`. Ejections are those of the whole list.
 */
export class ServiceView<Metadata = unknown> extends ServiceList<Metadata> {
  static {
    showAs(ServiceView, "ServiceView", (it) => ({
      prefix: it.prefix,
      status: it.status,
      revision: it.revision,
      list: it.list(),
    }));
  }

  readonly prefix: string;
  readonly #whole: ServiceViewParts<Metadata>;
  readonly #ending = new AbortController();
  readonly #ready = quietDeferred<void>();
  /** Takes the view off the end of the whole, which may live for long. */
  readonly #release: () => void;
  #status: SubscribeStatus;
  #asked = false;
  /** What is told first, if it was not yet. */
  #beginning: (() => void) | undefined;

  /** @internal */
  constructor(whole: ServiceViewParts<Metadata>, pick: ResolvedPick<Metadata>) {
    super(whole.runtime, pick);
    this.#whole = whole;
    this.#status = whole.status;
    this.prefix = whole.prefix;
    const step = whole.asStep();
    if (step) this.#beginning = this.#takePart(step);
    void this.#begin();
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

  async close(): Promise<void> {
    this.#end(new ClientClosedError(`the view of ${this.prefix} was closed`));
    this.statusChanged("closed");
    this.#whole.onClosed();
    this.#release();
  }

  /** Brings it up to date with the whole. @returns tells of it @internal */
  follow(step: ListStep<Metadata>): () => void {
    const tell = this.#takePart(step);
    return () => {
      this.#tellBeginning();
      tell();
    };
  }

  /** @internal */
  statusChanged(status: SubscribeStatus): void {
    if (this.#status === status || this.#status === "closed") return;
    this.#status = status;
    this.notify("status", status);
  }

  /** The whole has failed. @internal */
  failed(error: Error): void {
    this.notify("failed", error);
  }

  /** @internal */
  protected get ended(): AbortSignal {
    return this.#ending.signal;
  }

  /** @internal */
  protected override get whole(): number {
    return this.#whole.size;
  }

  /** @internal */
  protected reported(instance: ServiceInstance<Metadata>, error: unknown): void {
    this.#whole.reported(instance, error);
  }

  async #begin(): Promise<void> {
    // Nothing may be told before the caller had a chance to listen.
    await null;
    this.#tellBeginning();
  }

  #tellBeginning(): void {
    const tell = this.#beginning;
    this.#beginning = undefined;
    tell?.();
  }

  #takePart({ changes, first }: ListStep<Metadata>): () => void {
    const warnings: Error[] = [];
    const part = changes
      .filter(({ type }) => type !== "invalid")
      .map((change): ListChange<Metadata> => {
        if (change.type !== "put" || this.#lets(change.instance, warnings)) return change;
        return { type: "delete", key: change.instance.key };
      });
    const tell = this.take({ changes: part, first });
    return () => {
      tell();
      for (const warning of warnings) if (!this.ended.aborted) this.notify("warning", warning);
    };
  }

  #lets(instance: ServiceInstance<Metadata>, warnings: Error[]): boolean {
    try {
      return this.#whole.matches(instance);
    } catch (error) {
      warnings.push(asError(error));
      return false;
    }
  }

  #end(reason: unknown): void {
    if (this.#ending.signal.aborted) return;
    this.#ending.abort(reason);
    this.#ready.reject(reason);
    this.finish();
  }
}
