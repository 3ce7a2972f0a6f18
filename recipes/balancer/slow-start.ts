import { InvalidOptionError } from "../../src/index.ts";
import { callback, optionsOf, systemClock } from "../../src/internal/index.ts";
import { ArrayCache } from "./array-cache.ts";
import type { Balancer, Outcome, PickRequest } from "./balancer.ts";
import { fraction } from "./key-hash.ts";
import { type Member, type MemberList, Members } from "./members.ts";
import {
  checkInner,
  countedWeight,
  defaultId,
  defaultIncarnation,
  defaultWeight,
  type ServerTraits,
} from "./server-traits.ts";

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

interface Prepared<Server> {
  readonly list: MemberList<Server>;
  /** Those with their full share; undefined: all have it. */
  readonly warm: readonly Server[] | undefined;
  /** When the next one gets its full share. */
  readonly untilMs: number;
  /** How many the balancer under it chooses from, and the sum of their weights, or 1. */
  readonly candidates: number;
  readonly totalWeight: number;
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
 * It begins with the last `changed()` before the first pick from an array that holds the server, or with that pick. Who
 * left the list and came back is new again. When none is warm, what the balancer chooses is accepted: somebody has to
 * do the work.
 *
 * The first pick after a change of the list costs O(n). While somebody is new, a pick may ask the balancer twice.
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
  readonly #prepared = new ArrayCache<Server, Prepared<Server>>((servers, before) => this.#prepare(servers, before));
  /** Who stood in each array last; of a list that retries have driven out of `#prepared`, too. */
  readonly #stood = new WeakMap<readonly Server[], MemberList<Server>>();
  #begun = false;
  #changedMs: number | undefined;
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
  }

  pick(servers: readonly Server[], request: PickRequest): Server {
    let prepared = this.#prepared.get(servers);
    if (prepared.warm === undefined) return this.#inner.pick(servers, request);
    const nowMs = this.#nowMs();
    if (nowMs >= prepared.untilMs) {
      this.#prepared.changed();
      prepared = this.#prepared.get(servers);
    }
    this.#picks++;
    const chosen = this.#inner.pick(servers, request);
    const { warm } = prepared;
    if (warm === undefined || warm.length === 0) return chosen;
    const member = this.#members.get(chosen);
    if (member === undefined || nowMs - member.sinceMs >= this.#slowStartMs) return chosen;
    const share = Math.max(this.#initialShare, (nowMs - member.sinceMs) / this.#slowStartMs);
    if (request.key !== undefined) {
      if (fraction(`${String(member.id)}\n${request.key}`) < share) return chosen;
    } else {
      const even = Math.max(1 / prepared.candidates, this.#lenientWeight(chosen) / prepared.totalWeight);
      if (this.#random() < share && member.takesCredit(this.#picks, share * even)) return chosen;
    }
    return this.#inner.pick(warm, request);
  }

  changed(): void {
    this.#changedMs = this.#nowMs();
    this.#prepared.changed();
    this.#inner.changed?.();
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

  #prepare(servers: readonly Server[], before: Prepared<Server> | undefined): Prepared<Server> {
    const nowMs = this.#nowMs();
    const cameMs = this.#begun ? (this.#changedMs ?? nowMs) : Number.NEGATIVE_INFINITY;
    this.#begun = true;
    this.#changedMs = undefined;
    const list = this.#members.listOf(servers, cameMs, (before ?? this.#prepared.kept()[0])?.list);
    const stood = this.#stood.get(servers);
    if (stood !== undefined) this.#members.forgetGone(stood, list);
    this.#stood.set(servers, list);
    this.#members.sweep(() => [list, ...this.#prepared.kept().map((kept) => kept.list)]);
    const { members } = list;

    const isWarm = ({ sinceMs }: Member) => nowMs - sinceMs >= this.#slowStartMs;
    if (members.every(isWarm)) return { list, warm: undefined, untilMs: 0, candidates: 0, totalWeight: 1 };
    const candidates = this.#candidatesOf(servers);
    const endsMs = members.map(({ sinceMs }) => sinceMs + this.#slowStartMs);
    return {
      list,
      warm: servers.filter((_, at) => isWarm(members[at] as Member)),
      untilMs: endsMs.reduce(
        (least, endMs) => (endMs > nowMs && endMs < least ? endMs : least),
        Number.POSITIVE_INFINITY,
      ),
      candidates: candidates.length,
      totalWeight: candidates.reduce((sum, server) => sum + this.#lenientWeight(server), 0) || 1,
    };
  }

  /** Whether a weight is a good one is for the balancer to say, which may not look at it. */
  #lenientWeight(server: Server): number {
    const weight = this.#weightOf(server);
    return weight > 0 ? countedWeight(weight) : 0;
  }
}
