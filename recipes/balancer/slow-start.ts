import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf, systemClock } from "../../src/internal/index.ts";
import { ArrayCache } from "./array-cache.ts";
import type { Balancer, Outcome, PickRequest, ServersChange } from "./balancer.ts";
import { fraction } from "./key-hash.ts";
import { Members } from "./members.ts";
import {
  checkInner,
  countedWeight,
  defaultId,
  defaultIncarnation,
  defaultWeight,
  type ServerTraits,
} from "./server-traits.ts";
import { WarmingArray } from "./warming-array.ts";

export interface SlowStartOptions<Server> extends ServerTraits<Server> {
  /** How long a new server takes to its full share, in milliseconds: 0 or above. */
  slowStartMs: number;
  /** The part of its share that it begins with: above 0, at most 1. @default 0.1 */
  initialShare?: number | undefined;
  /** A server whose value changes is a new one under the same id. @default its `createRevision` */
  incarnation?: ((server: Server) => unknown) | undefined;
  /** Those of an array that the balancer under it chooses from, as `ZonePreference.preferred()`. @default all */
  candidates?: ((servers: readonly Server[]) => readonly Server[]) | undefined;
  /** A number in [0, 1). @default Math.random */
  random?: (() => number) | undefined;
  /** Milliseconds that never run backwards. @default performance.now */
  nowMs?: (() => number) | undefined;
}

const DEFAULT_INITIAL_SHARE = 0.1;

const checkOptions = optionsOf("SlowStart", {
  slowStartMs: {
    allowed: "a number of milliseconds, 0 or above",
    holds: (ms) => typeof ms === "number" && ms >= 0 && ms < Number.POSITIVE_INFINITY,
  },
  initialShare: {
    allowed: "above 0 and at most 1",
    holds: (share) => typeof share === "number" && share > 0 && share <= 1,
  },
  weight: callback,
  id: callback,
  incarnation: callback,
  candidates: callback,
  random: callback,
  nowMs: callback,
});

/**
 * Gives a server that came later than the first list a small share in the beginning, which grows linearly to its full
 * one over `slowStartMs`, whatever the balancer under it: what that one chooses is accepted with the probability of the
 * share, else it chooses among the warm servers. As a strategy that looks for idle servers would choose a cold one for
 * every request, a cold server is also held to twice the share of its weight and age. A request with a key is accepted
 * by a hash of key and id, so that a key moves to the new server once and not back and forth.
 *
 * The first list is the array of the first `changed()`; if `pick()` is called earlier, the array of that pick. A
 * server's slow start begins with the last `changed()` before the first pick from an array that holds it, or with that
 * pick. Who left the list and came back is new again. When none is warm, what the balancer chooses is accepted: one has
 * to do the work.
 *
 * Each server that changed costs what the balancer under it costs, twice from the first new one on; the first pick from
 * an array, or after a change that came without positions, O(n) besides. While one is new, a pick may ask the
 * balancer twice.
 */
export class SlowStart<Server> implements Balancer<Server> {
  readonly #inner: Balancer<Server>;
  readonly #slowStartMs: number;
  readonly #initialShare: number;
  readonly #weightOf: (server: Server) => number;
  readonly #candidatesOf: (servers: readonly Server[]) => readonly Server[];
  readonly #members: Members<Server>;
  readonly #random: () => number;
  readonly #nowMs: () => number;
  readonly #arrays: ArrayCache<Server, WarmingArray<Server>>;
  #begun = false;
  #changedMs: number | undefined;
  #cameMs = 0;
  #picks = 0;

  /** @throws InvalidOptionError */
  constructor(inner: Balancer<Server>, options: SlowStartOptions<Server>) {
    checkOptions(options);
    const { slowStartMs, initialShare = DEFAULT_INITIAL_SHARE } = options ?? {};
    if (slowStartMs === undefined) throw new InvalidOptionError("SlowStart", "slowStartMs", "is missing");
    checkInner("SlowStart", inner);
    this.#inner = inner;
    this.#slowStartMs = slowStartMs;
    this.#initialShare = initialShare;
    this.#weightOf = options.weight ?? defaultWeight;
    this.#candidatesOf = options.candidates ?? ((servers) => servers);
    this.#members = new Members(options.id ?? defaultId, options.incarnation ?? defaultIncarnation);
    this.#random = options.random ?? Math.random;
    this.#nowMs = options.nowMs ?? systemClock.monotonicMs;
    this.#arrays = new ArrayCache<Server, WarmingArray<Server>>({
      prepare: (servers, before) => this.#look(servers, before),
      update: (array, servers, positions) => {
        const nowMs = this.#arrived();
        this.#pass(array.update(servers, positions, nowMs));
        return true;
      },
    });
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    const array = this.#arrays.get(servers);
    if (!array.hasCold) return this.#inner.pick(servers, request);
    const nowMs = this.#nowMs();
    this.#pass(array.settle(servers, nowMs));
    this.#picks++;
    const chosen = this.#inner.pick(servers, request);
    const { warm } = array;
    if (!array.hasCold || warm.length === 0) return chosen;
    const member = this.#members.get(chosen);
    if (member === undefined || nowMs - member.sinceMs >= this.#slowStartMs) return chosen;
    const share = Math.max(this.#initialShare, (nowMs - member.sinceMs) / this.#slowStartMs);
    if (request.key !== undefined) {
      if (fraction(`${String(member.id)}\n${request.key}`) < share) return chosen;
    } else {
      const evenShare = this.#evenShare(chosen, servers, array.meanWeight);
      if (this.#random() < share && member.takesCredit(this.#picks, share * evenShare)) return chosen;
    }
    return this.#inner.pick(warm, request);
  }

  changed(change?: ServersChange<Server>): void {
    this.#changedMs = this.#nowMs();
    this.#arrays.changed(change);
    // The first list: before anything is picked from it, others may have come.
    if (!this.#begun && change) this.#arrays.get(change.servers);
    this.#inner.changed?.(change);
  }

  started(server: Server): void {
    this.#inner.started?.(server);
  }

  ended(server: Server): void {
    this.#inner.ended?.(server);
  }

  report(server: Server, outcome: Outcome): void {
    this.#inner.report?.(server, outcome);
  }

  #look(servers: readonly Server[], before: WarmingArray<Server> | undefined): WarmingArray<Server> {
    const nowMs = this.#arrived();
    const array = before ?? this.#newArray();
    if (array.replace(servers, nowMs) && before) this.#inner.changed?.();
    this.#members.sweep(() => [array, ...this.#arrays.kept()].map(({ members }) => members));
    return array;
  }

  #newArray(): WarmingArray<Server> {
    return new WarmingArray<Server>({
      slowStartMs: this.#slowStartMs,
      memberOf: (server) => this.#members.memberOf(server, this.#cameMs),
      weightOf: (server) => this.#lenientWeight(server),
      onGone: (member) => this.#members.forget(member),
    });
  }

  /** Who is new in what is looked at now came with the last change, or now. @returns the time */
  #arrived(): number {
    const nowMs = this.#nowMs();
    this.#cameMs = this.#begun ? (this.#changedMs ?? nowMs) : Number.NEGATIVE_INFINITY;
    this.#begun = true;
    this.#changedMs = undefined;
    return nowMs;
  }

  #pass(change: ServersChange<Server> | undefined): void {
    if (change) this.#inner.changed?.(change);
  }

  /** Its part of all picks, by weight or by number: a strategy may not look at weights. */
  #evenShare(server: Server, servers: readonly Server[], meanWeight: number): number {
    const candidates = this.#candidatesOf(servers).length;
    return Math.max(1, this.#lenientWeight(server) / (meanWeight || 1)) / candidates;
  }

  /** Whether a weight is a good one is for the balancer to say, which may not look at it. */
  #lenientWeight(server: Server): number {
    const weight = this.#weightOf(server);
    return weight > 0 ? countedWeight(weight) : 0;
  }
}
