import { ArraySubset } from "./array-subset.ts";
import type { ServersChange } from "./balancer.ts";
import type { Member } from "./members.ts";

export interface WarmingArrayParts<Server> {
  readonly slowStartMs: number;
  memberOf(server: Server): Member;
  /** 0 or above. */
  weightOf(server: Server): number;
  /** It left. */
  onGone(member: Member): void;
}

/** Who stands in an array that changes in place, and which of them have their full share. */
export class WarmingArray<Server> {
  readonly #parts: WarmingArrayParts<Server>;
  readonly #members: Member[] = [];
  readonly #weights: number[] = [];
  #totalWeight = 0;
  /** Those without, and their positions, in the order in which they came. */
  readonly #cold = new Map<Member, number>();
  /** Made when a server is cold for the first time. */
  #warm: ArraySubset<Server> | undefined;

  constructor(parts: WarmingArrayParts<Server>) {
    this.#parts = parts;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get hasCold(): boolean {
    return this.#cold.size > 0;
  }

  /** All that are not cold, while some are: an array that changes in place. */
  get warm(): readonly Server[] {
    return this.#warm?.servers ?? [];
  }

  /** Of all, draining and cold ones included; 0 without servers. */
  get meanWeight(): number {
    return this.#members.length === 0 ? 0 : this.#totalWeight / this.#members.length;
  }

  /** Looks at all. @returns whether `warm` is another */
  replace(servers: readonly Server[], nowMs: number): boolean {
    const gone = new Set(this.#members);
    this.#cold.clear();
    for (const [at, server] of servers.entries()) {
      this.#put(at, server);
      gone.delete(this.#members[at] as Member);
    }
    this.#members.length = servers.length;
    this.#weights.length = servers.length;
    for (const member of gone) this.#parts.onGone(member);
    const cold = this.#members
      .map((member, at) => ({ member, at }))
      .filter(({ member }) => this.#isCold(member, nowMs));
    for (const { member, at } of cold.sort((a, b) => a.member.sinceMs - b.member.sinceMs)) this.#cold.set(member, at);
    this.#sumWeights();
    if (!this.#warm && this.#cold.size === 0) return false;
    this.#warm ??= new ArraySubset();
    this.#warm.fill(servers, (_, at) => !this.#cold.has(this.#members[at] as Member));
    return true;
  }

  /**
   * Looks at the positions that changed, and at those by which the array grew or shrank.
   *
   * @returns how `warm` changed
   */
  update(servers: readonly Server[], positions: ReadonlySet<number>, nowMs: number): ServersChange<Server> | undefined {
    const before = this.#members.length;
    const changed = new Set(positions);
    for (let at = before; at < servers.length; at++) changed.add(at);
    for (let at = servers.length; at < before; at++) changed.add(at);
    const gone = new Set<Member>();
    for (const at of changed) {
      if (at >= before) continue;
      gone.add(this.#members[at] as Member);
      this.#removeWeight(at);
    }
    this.#members.length = Math.min(before, servers.length);
    this.#weights.length = this.#members.length;
    const placed = [...changed].filter((at) => at < servers.length).sort((a, b) => a - b);
    for (const at of placed) {
      this.#put(at, servers[at] as Server);
      this.#totalWeight += this.#weights[at] as number;
      const member = this.#members[at] as Member;
      gone.delete(member);
      if (this.#isCold(member, nowMs)) this.#cold.set(member, at);
      else this.#cold.delete(member);
    }
    for (const member of gone) {
      this.#cold.delete(member);
      this.#parts.onGone(member);
    }
    const isWarm = (_: Server, at: number) => !this.#cold.has(this.#members[at] as Member);
    if (this.#warm) {
      this.#warm.update(servers, changed, isWarm);
      return this.#warm.takeChange();
    }
    if (this.#cold.size > 0) {
      this.#warm = new ArraySubset();
      this.#warm.fill(servers, isWarm);
    }
    return undefined;
  }

  /** Those whose time has come are cold no more. @returns how `warm` changed, if it did */
  settle(servers: readonly Server[], nowMs: number): ServersChange<Server> | undefined {
    let settled = false;
    for (const [member, at] of this.#cold) {
      if (this.#isCold(member, nowMs)) break;
      this.#cold.delete(member);
      this.#warm?.set(at, servers[at]);
      settled = true;
    }
    return settled ? this.#warm?.takeChange() : undefined;
  }

  #put(at: number, server: Server): void {
    this.#members[at] = this.#parts.memberOf(server);
    this.#weights[at] = this.#parts.weightOf(server);
  }

  #isCold(member: Member, nowMs: number): boolean {
    return nowMs - member.sinceMs < this.#parts.slowStartMs;
  }

  /** When most of the sum goes, what is left of it is rounding errors. */
  #removeWeight(at: number): void {
    const weight = this.#weights[at] as number;
    this.#weights[at] = 0;
    if (weight > this.#totalWeight / 2) this.#sumWeights();
    else this.#totalWeight -= weight;
  }

  #sumWeights(): void {
    this.#totalWeight = 0;
    for (const weight of this.#weights) this.#totalWeight += weight;
  }
}
