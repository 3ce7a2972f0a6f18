import type { EtcdClient, Lease } from "../../src/index.ts";
import { asError, type Runtime } from "../../src/internal/index.ts";
import type { KeyLeases } from "../leases/index.ts";
import { RetryPause } from "../retries/index.ts";
import type { FollowedKeyOwner, KeyFollower } from "./key-follower.ts";
import { stepFailure } from "./step-failure.ts";
import { StepSender } from "./step-sender.ts";

/** Whose key it is. */
export interface LoneWriterOwner extends FollowedKeyOwner {
  readonly follower: KeyFollower;
  /** Called with each new lease, before anything is put on it. */
  onLease(lease: Lease): void;
}

/**
 * Does the steps of one key, one after the other, on leases that are the key's own or shared with others; whatever
 * fails is tried again, after growing random delays. Nothing of it is there while the key is as it should be.
 */
export class LoneWriter {
  readonly #etcd: Pick<EtcdClient, "txn">;
  readonly #leases: KeyLeases;
  readonly #runtime: Runtime;
  readonly #owner: LoneWriterOwner;
  readonly #stopping = new AbortController();
  #due = false;
  #running = false;
  #pause: RetryPause | undefined;
  /** That of the last `onLease()`. */
  #lease: Lease | undefined;

  constructor(etcd: Pick<EtcdClient, "txn">, leases: KeyLeases, runtime: Runtime, owner: LoneWriterOwner) {
    this.#etcd = etcd;
    this.#leases = leases;
    this.#runtime = runtime;
    this.#owner = owner;
  }

  /** Aborts when nothing is written any more. */
  get stopped(): AbortSignal {
    return this.#stopping.signal;
  }

  /** The key wants a step. */
  run(): void {
    this.#due = true;
    if (this.#running || this.#pause?.isOn || this.stopped.aborted) return;
    this.#running = true;
    void this.#run();
  }

  /** Does not wait any longer after the last failure. */
  hurry(): void {
    this.#pause?.cutShort();
  }

  /** Sends nothing any more, and waits for nothing that was sent. */
  stop(reason: Error): void {
    this.#stopping.abort(reason);
    this.#pause?.cancel();
  }

  async #run(): Promise<void> {
    // What is asked for in the same turn is done in one step.
    await null;
    while (this.#due && !this.#pause?.isOn && !this.stopped.aborted) {
      this.#due = false;
      await this.#step();
    }
    this.#running = false;
  }

  async #step(): Promise<void> {
    const { stopped } = this;
    const { kept, follower } = this.#owner;
    const { keeper, life } = kept;
    let lease = this.#leases.current;
    try {
      if (keeper.needsLease && (!lease || lease !== this.#lease)) {
        lease = this.#taken(await this.#leases.living(stopped));
      }
    } catch (error) {
      if (stopped.aborted) return;
      // A grant is no step, so no one step is to blame.
      const failure = stepFailure(error, { lease: undefined, isAlone: false, hasWorked: life.hasWorked });
      if (failure === "end") this.#end(error);
      else {
        life.warn(asError(error));
        this.#wait(error);
      }
      return;
    }
    if (stopped.aborted) return;
    const step = keeper.next(lease?.id);
    if (!step) return;
    try {
      const { openStream } = follower;
      const answer = await StepSender.of(this.#etcd).send(keeper.key, step, { signal: stopped });
      if (stopped.aborted) return;
      this.#pause?.succeeded();
      this.#due = true;
      if (answer.type === "done") keeper.done(answer.revision);
      else keeper.found(answer.kv, answer.revision);
      follower.answered(step, answer, openStream);
    } catch (error) {
      if (!stopped.aborted) this.#failed(lease, error);
    }
  }

  #taken(lease: Lease): Lease {
    if (lease !== this.#lease && !this.stopped.aborted) {
      this.#lease = lease;
      this.#owner.onLease(lease);
    }
    return lease;
  }

  #failed(lease: Lease | undefined, error: unknown): void {
    const { kept, follower } = this.#owner;
    switch (stepFailure(error, { lease, isAlone: true, hasWorked: kept.life.hasWorked })) {
      case "refused":
        if (kept.keeper.refused(asError(error))) this.#wait(error);
        break;
      case "leaseGone":
        this.#due = true;
        if (lease) this.#leases.gone(lease, error);
        break;
      case "end":
        this.#end(error);
        break;
      case "unknown":
        kept.keeper.failed(asError(error));
        follower.unanswered();
        this.#wait(error);
    }
  }

  #end(error: unknown): void {
    this.#owner.fail(asError(error));
    this.stop(asError(error));
  }

  #wait(cause: unknown): void {
    this.#pause ??= new RetryPause(this.#runtime, { initialMs: 100 });
    this.#pause.begin(() => this.run(), cause);
  }
}
