import { EtcdTimeoutError, type KeyValue, type Lease, type LeaseId } from "../../src/index.ts";
import { type Admission, abortable, type Clock, type Deferred, inMs, quietDeferred } from "../../src/internal/index.ts";
import { readDrainRequest } from "../registration-format/internal.ts";
import type { BulkItem } from "./bulk-item.ts";
import type { DesiredRegistration } from "./desired-registration.ts";
import type { KeyStep } from "./key-step.ts";
import { KnownKey } from "./known-key.ts";
import { type KeyState, nextStep } from "./next-step.ts";
import type { KeyOwner, RegistrationLife } from "./registration-life.ts";
import { isOfValue } from "./step-failure.ts";

/** What a key needs of those who write it. */
export interface KeySurroundings {
  readonly clock: Clock;
  /** That of the client, for all requests of its keys. */
  readonly admission: Admission;
  /** Aborts when nothing is written any more, for no key. */
  readonly ended: AbortSignal;
  /** The lease as long as it lives. */
  lease(): Lease | undefined;
  isOwn(lease: LeaseId | undefined): boolean;
  /** Asks for the next step of a key. */
  enqueue(item: BulkItem): void;
}

export interface KeyKeeperParts {
  readonly key: string;
  readonly desired: DesiredRegistration;
  readonly life: RegistrationLife;
  readonly owner: KeyOwner;
  readonly around: KeySurroundings;
}

/**
 * `waiting`: the one before still leaves, or health has not answered. `there`: in the list. `aside`: out of it while
 * health says no. `draining`: marked as such if it is in the list, never
 * brought back. `gone`: deleted. `over`: nothing any more.
 */
type Wanted = "waiting" | "there" | "aside" | "draining" | "gone" | "over";

/** A put that is on its way. */
interface Sent {
  readonly text: string;
  readonly lease: LeaseId;
  /** Of the value. */
  readonly version: number;
  /** The modRevision that it is to replace; undefined: it is to make the key. */
  readonly over: number | undefined;
}

/** One key: what should stand there, what is known to stand there, and the next step from one to the other. */
export class KeyKeeper implements BulkItem {
  readonly key: string;
  readonly #desired: DesiredRegistration;
  readonly #life: RegistrationLife;
  readonly #owner: KeyOwner;
  readonly #around: KeySurroundings;
  readonly #known = new KnownKey();
  #wanted: Wanted = "waiting";
  /** Whether something stale may still delete what stands there: then it is written anew, not taken as found. */
  #rewrites = false;
  /** The modRevision that a put without an answer was to replace: what stands there with another one is newer. */
  #replaced: number | undefined;
  #everPut = false;
  /** The modRevision of the last request to drain that was followed. */
  #followed = 0;
  /** It was to be taken out, so that it is missing is no loss; until it stands there again. */
  #withdrawn = false;
  /** Its last step had no answer. */
  #failing = false;
  #sent: Sent | undefined;
  /** Callers that wait for `draining` or `gone` to be reached. */
  #reached: Deferred<void> | undefined;

  constructor({ key, desired, life, owner, around }: KeyKeeperParts) {
    this.key = key;
    this.#desired = desired;
    this.#life = life;
    this.#owner = owner;
    this.#around = around;
  }

  get isWaiting(): boolean {
    return this.#wanted === "waiting";
  }

  get isOver(): boolean {
    return this.#wanted === "over";
  }

  /** What was never written can only stand there if a write of a former member landed late. */
  get mayStand(): boolean {
    return this.#everPut || this.#ownState !== undefined;
  }

  /** It is free, and wanted from now on. */
  start(): void {
    if (this.#wanted !== "waiting" && this.#wanted !== "aside") return;
    this.#wanted = "there";
    // Who took it meanwhile is reported as etcd has it.
    if (this.#comesTo("taken")) this.#known.look();
    this.#around.enqueue(this);
  }

  /** Out of the list until it is started again. */
  stepAside(): void {
    if (this.#wanted !== "waiting" && this.#wanted !== "there") return;
    this.#wanted = "aside";
    if (!this.mayStand) {
      this.#life.stepAside();
      return;
    }
    this.#withdrawn = true;
    this.#around.enqueue(this);
  }

  /** The owner before could not delete the key, or its delete may still land. */
  takesOver(): void {
    this.#everPut = true;
    this.writesAnew();
  }

  /** A delete that is not known here may still land: what stands there is written anew, once, not taken as found. */
  writesAnew(): void {
    this.#rewrites = true;
  }

  /** What should stand there is another value now. */
  changed(): void {
    // That it stands there already may have been true before the change was asked for.
    if (this.#comesTo("found")) this.look();
    else this.#advance(undefined);
  }

  /** What the group's mirror says. `resynced`: of a history that may be another one. */
  seen(kv: KeyValue | undefined, revision: number, resynced: boolean): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    const received = this.#known.received(kv, revision, resynced);
    if (received === "doubt") this.#around.enqueue(this);
    if (received !== "news") return;
    if (kv) this.#follow(kv);
    else this.#missing();
    // What the mirror shows may be older than the registration. Of what ends it for good etcd is asked.
    if (this.#life.endsByConflict && this.#comesTo("taken")) this.look();
    else this.#advance(kv);
  }

  /** Something makes the group doubt that the key is as it is known. */
  look(): void {
    this.#known.look();
    this.#around.enqueue(this);
  }

  leaseLost(error: Error): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    const { state } = this.#known;
    if (state && !this.#around.isOwn(state.lease)) {
      this.#known.unsure();
      return;
    }
    this.#known.forget();
    if (this.#wanted === "there") this.#life.lost(error);
    this.#around.enqueue(this);
  }

  get needsLease(): boolean {
    return this.#wanted === "there" && !this.#known.mustLook;
  }

  next(lease: LeaseId | undefined): KeyStep | undefined {
    const step = this.#next(lease);
    // What was put before, and refused with its lease, is not on its way any more.
    if (step && step.type !== "put") this.#sent = undefined;
    return step;
  }

  done(revision: number): void {
    this.#failing = false;
    const sent = this.#sent;
    this.#sent = undefined;
    const made = this.#known.state === undefined;
    const state = sent && { modRevision: revision, lease: sent.lease, text: sent.text };
    if (!this.#known.answered(state, revision)) {
      this.#advance(undefined);
      if (sent && this.#wanted === "there" && this.#life.mayTake) {
        this.#life.wasWritten();
        this.look();
      }
      return;
    }
    if (sent) this.#rewrites = false;
    if (sent && this.#wanted === "there") {
      if (this.#around.lease()?.id !== sent.lease) {
        // A lease that was lost meanwhile is being revoked, and takes the key with it.
        this.#known.unsure();
      } else {
        // Gone and put back before the mirror could show it.
        if (made) this.#missing();
        this.#placed(revision, sent.version);
      }
    }
    this.#advance(undefined);
  }

  found(kv: KeyValue | undefined, revision: number): void {
    this.#failing = false;
    this.#sent = undefined;
    const later = this.#known.looked();
    if (!this.#known.answered(kv, revision)) {
      this.#advance(undefined);
      return;
    }
    if (kv) this.#follow(kv);
    else this.#missing();
    this.#advance(kv);
    if (later && later.revision > revision) this.seen(later.kv, later.revision, false);
  }

  failed(error: Error): void {
    this.#failing = true;
    this.#replaced = this.#sent?.over ?? this.#replaced;
    this.#sent = undefined;
    this.#known.unsure();
    if (this.#wanted === "there" || this.#wanted === "aside") this.#life.warn(error);
  }

  refused(error: Error): boolean {
    const { version } = this.#sent ?? this.#desired;
    this.#sent = undefined;
    if (isOfValue(error) && this.#desired.refused(version, error)) {
      this.#owner.emit("warning", error);
      // What is left may stand there already: etcd is asked, as after `changed()`.
      if (this.#desired.isAwaited && this.#comesTo("found")) this.#known.look();
      this.#around.enqueue(this);
      return false;
    }
    if (this.#wanted !== "there" && this.#wanted !== "aside") {
      this.#reached?.reject(error);
      return false;
    }
    if (this.#life.hasWorked) {
      this.#life.warn(error);
      return true;
    }
    this.#owner.fail(error, false);
    return false;
  }

  /**
   * Resolves when it is as wanted, or when no call of the client's recipes has worked for `withinMs`, or after that
   * time if its own steps fail; what went wrong is a warning.
   *
   * @returns whether it is as wanted
   */
  async reach(wanted: "draining" | "gone", withinMs: number): Promise<boolean> {
    const { admission, ended } = this.#around;
    if (this.#wanted === "over") return true;
    this.#wanted = wanted;
    if (wanted === "draining") this.#desired.update({ draining: true });
    if (!this.mayStand) return true;
    const reached = quietDeferred<void>();
    this.#reached = reached;
    this.#advance(undefined);
    const outOfTime = () =>
      new EtcdTimeoutError(`${this.key}: etcd did not answer within ${inMs(withinMs)} while closing`);
    try {
      const isFailing = () => this.#failing;
      await admission.wait(abortable(reached.promise, ended), { ms: withinMs, error: outOfTime, isFailing });
      return true;
    } catch (error) {
      if (!ended.aborted) this.#owner.emit("warning", error as Error);
      return false;
    } finally {
      this.#reached = undefined;
    }
  }

  /** Nothing is done with it any more. */
  end(): void {
    this.#wanted = "over";
  }

  #next(lease: LeaseId | undefined): KeyStep | undefined {
    if (this.#wanted === "waiting" || this.#wanted === "over") return undefined;
    this.#known.asked();
    if (this.#known.mustLook) return { type: "look" };
    if (this.#wanted === "there") return this.#nextPut(lease);
    if (!this.#known.isSure) return { type: "look" };
    const own = this.#ownState;
    if (own && this.#isUnwanted) return { type: "delete", over: own };
    if (own && lease !== undefined && this.#wanted === "draining" && !this.#isDrained(own))
      return this.#put(own, lease);
    this.#arrived();
    return undefined;
  }

  #nextPut(lease: LeaseId | undefined): KeyStep | undefined {
    if (lease === undefined) return undefined;
    const step = this.#step(lease);
    if (step.type === "found" && !this.#known.isSure) return { type: "look" };
    return step.type === "put" ? this.#put(step.over, lease) : undefined;
  }

  #put(over: KeyState | undefined, lease: LeaseId): KeyStep {
    const { text, version } = this.#desired;
    this.#everPut = true;
    this.#desired.sent();
    this.#sent = { text, lease, version, over: over?.modRevision };
    return { type: "put", over, text, lease };
  }

  #step(lease: LeaseId | undefined) {
    const { state: known } = this.#known;
    const mayWrite = this.#ownState !== undefined || this.#life.mayTake;
    const step = nextStep(known, { text: this.#desired.text, lease, mayWrite });
    if (!this.#rewrites || step.type !== "found") return step;
    const isOlder = this.#replaced === undefined || this.#replaced === step.revision;
    return isOlder ? ({ type: "put", over: known } as const) : step;
  }

  /** Whether what is known, but need not be so any more, leaves nothing to do. */
  #comesTo(end: "found" | "taken"): boolean {
    return this.#wanted === "there" && this.#step(this.#around.lease()?.id).type === end;
  }

  get #ownState(): KeyState | undefined {
    const { state } = this.#known;
    return state && this.#around.isOwn(state.lease) ? state : undefined;
  }

  /** What stands on an earlier lease goes with it. */
  #isDrained({ text, lease }: KeyState): boolean {
    return text === this.#desired.text || lease !== this.#around.lease()?.id;
  }

  /** @param seen the key as etcd has just shown it, if it has */
  #advance(seen: KeyValue | undefined): void {
    if (this.#wanted === "waiting" || this.#wanted === "over") return;
    if (this.#wanted !== "there") {
      this.#advanceOut();
      return;
    }
    const step = this.#step(this.#around.lease()?.id);
    if (step.type === "put" || (step.type === "found" && !this.#known.isSure)) this.#around.enqueue(this);
    else if (step.type === "found") this.#placed(step.revision, this.#desired.version);
    else if (step.type === "taken" && seen) this.#taken(seen);
  }

  #advanceOut(): void {
    const own = this.#ownState;
    const due = own !== undefined && (this.#isUnwanted || !this.#isDrained(own));
    if (!this.#known.isSure || this.#sent || due) this.#around.enqueue(this);
    else this.#arrived();
  }

  get #isUnwanted(): boolean {
    return this.#wanted === "gone" || this.#wanted === "aside";
  }

  /** It is out of the list, or drained, as wanted. */
  #arrived(): void {
    if (this.#wanted === "aside") this.#life.stepAside();
    else this.#reached?.resolve();
  }

  /**
   * An operator has changed `draining` in place. All else in the value stays the owner's: it is written again, without
   * the request, which says that it was followed.
   */
  #follow({ text, lease, modRevision }: KeyValue): void {
    if (this.#wanted !== "there" || modRevision === this.#followed || !this.#around.isOwn(lease)) return;
    const request = this.#desired.canDrain ? readDrainRequest(text) : undefined;
    if (!request) return;
    this.#followed = modRevision;
    this.#desired.update({ draining: request.draining });
    this.#life.follow(request);
  }

  #missing(): void {
    if (this.#wanted !== "there") return;
    if (this.#withdrawn) this.#life.stepAside();
    else this.#life.vanished();
  }

  #placed(revision: number, version: number): void {
    this.#withdrawn = false;
    this.#life.placed(revision, version);
  }

  #taken(by: KeyValue): void {
    const end = this.#life.conflict(by);
    if (end) this.#owner.fail(end, true);
  }
}
