import { type CallOptions, type EtcdClient, getOp, type KeyValue, type Op, type TxnOptions } from "../../src/index.ts";
import {
  Admission,
  type Deferred,
  deferred,
  nextTick,
  opSize,
  ServerLimits,
  sendInParts,
  TxnRoom,
} from "../../src/internal/index.ts";
import { foundBy, isAsKnown } from "../writes/index.ts";
import { type KeyStep, opOf, roomFor } from "./key-step.ts";

/**
 * `done`: at this revision. Otherwise the key is not as the step wanted it, or was looked at: this is what is there.
 */
export type StepAnswer =
  | { readonly type: "done"; readonly revision: number }
  | { readonly type: "found"; readonly kv: KeyValue | undefined; readonly revision: number };

interface Asked {
  readonly key: string;
  readonly step: KeyStep;
  /** The step without its guard. */
  readonly op: Op;
  readonly answered: Deferred<StepAnswer>;
  readonly signal: AbortSignal | undefined;
}

type Calls = Pick<EtcdClient, "txn">;

const ofClients = new WeakMap<object, StepSender>();

/**
 * Sends the steps of keys that have a lease each, or that they share, as txns without others in them: of those an etcd
 * before 3.4.42, 3.5.28 and 3.6.9 checks no permission. Looks travel together, and so do puts of missing keys, of which
 * one that is not missing leaves all undone, and each gets what is there; everything else goes alone. What is asked
 * for in the same turn of the event loop, or while the client's requests take turns, is together.
 */
export class StepSender {
  readonly #etcd: Calls;
  readonly #limits: ServerLimits;
  readonly #admission: Admission;
  readonly #waiting = { look: [] as Asked[], make: [] as Asked[] };

  private constructor(etcd: Calls) {
    this.#etcd = etcd;
    this.#limits = ServerLimits.of(etcd);
    this.#admission = Admission.of(etcd);
  }

  /** That of a client: one for all its registrations. */
  static of(etcd: Calls): StepSender {
    const known = ofClients.get(etcd);
    if (known) return known;
    const sender = new StepSender(etcd);
    ofClients.set(etcd, sender);
    return sender;
  }

  /** @throws what the request throws; after a write with an unknown outcome it may have been done */
  async send(key: string, step: KeyStep, { signal }: CallOptions): Promise<StepAnswer> {
    const kind = kindOf(key, step);
    const asked: Asked = { key, step, op: opOf(key, step), answered: deferred(), signal };
    if (!kind) return this.#admission.run(() => this.#alone(asked, { signal }), { first: true, signal });
    const waiting = this.#waiting[kind];
    waiting.push(asked);
    if (waiting.length === 1) nextTick(() => this.#turn(kind));
    return asked.answered.promise;
  }

  #turn(kind: "look" | "make"): void {
    const turn = this.#admission.run(() => this.#batch(kind), { first: true });
    // Each that is in it has its answer.
    turn.catch(() => {});
  }

  /** @throws what a part of it failed with */
  async #batch(kind: "look" | "make"): Promise<void> {
    const batch = this.#take(kind);
    if (batch.length === 0) return;
    const failures: unknown[] = [];
    await sendInParts(batch, {
      limits: this.#limits,
      sizeOf: ({ op }) => opSize(op),
      send: (part) => this.#together(part),
      failed: (part, error) => {
        failures.push(error);
        for (const { answered } of part) answered.reject(error);
      },
      inOrder: true,
    });
    if (failures.length > 0) throw failures[0];
  }

  #take(kind: "look" | "make"): Asked[] {
    const room = new TxnRoom(this.#limits);
    const waiting = this.#waiting[kind].filter(({ signal }) => !signal?.aborted);
    const most = waiting.findIndex(({ op }) => !room.take(opSize(op)));
    if (most < 0) {
      this.#waiting[kind] = [];
      return waiting;
    }
    this.#waiting[kind] = waiting.slice(most);
    this.#turn(kind);
    return waiting.slice(0, most);
  }

  async #together(part: readonly Asked[]): Promise<void> {
    const [first, ...others] = part;
    if (!first) return;
    if (others.length === 0) first.answered.resolve(await this.#alone(first, {}));
    else {
      const answers = await this.#txn(part, {});
      for (const [index, { answered }] of part.entries()) answered.resolve(answers[index] as StepAnswer);
    }
  }

  async #alone(asked: Asked, options: CallOptions): Promise<StepAnswer> {
    const [answer] = await this.#txn([asked], options);
    return answer as StepAnswer;
  }

  async #txn(part: readonly Asked[], options: CallOptions): Promise<StepAnswer[]> {
    const { succeeded, revision, responses } = await this.#etcd.txn(requestOf(part), options);
    return part.map(({ step }, index) => {
      if (succeeded && step.type !== "look") return { type: "done", revision };
      return { type: "found", kv: foundBy(responses[index]), revision };
    });
  }
}

function requestOf(part: readonly Asked[]): TxnOptions {
  const ops = part.map(({ op }) => op);
  const [first] = part;
  // Looks are with looks only.
  if (first?.step.type === "look") return { success: ops };
  const room = first && part.length === 1 ? roomFor(first.key, first.step) : [];
  return {
    compare: part.flatMap(({ key, step }) => (step.type === "look" ? [] : isAsKnown(key, step.over))),
    success: ops,
    failure: [...part.map(({ key }) => getOp(key)), ...room],
  };
}

/** What it travels with: looks, or puts of missing keys that need no room for what comes later; undefined: alone. */
function kindOf(key: string, step: KeyStep): "look" | "make" | undefined {
  if (step.type === "look") return "look";
  return step.type === "put" && step.over === undefined && roomFor(key, step).length === 0 ? "make" : undefined;
}
