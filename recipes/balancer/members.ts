/** A new server is given at most this many times the share that it would have by its weight and its age. */
const CREDIT_FACTOR = 2;
const MOST_CREDIT = 4;
const FIRST_SWEEP = 64;

/** One server in one life. */
export class Member {
  readonly id: unknown;
  readonly incarnation: unknown;
  /** When it came; −Infinity: it was there from the beginning. */
  readonly sinceMs: number;
  #credit = 1;
  #creditedAt: number | undefined;

  constructor(id: unknown, incarnation: unknown, sinceMs: number) {
    this.id = id;
    this.incarnation = incarnation;
    this.sinceMs = sinceMs;
  }

  /**
   * Takes one pick out of what it has earned, if that is enough: every pick, also of another one, earns it its share of
   * one.
   *
   * @param picks how many there were of all servers
   */
  takesCredit(picks: number, share: number): boolean {
    const earned = (picks - (this.#creditedAt ?? picks)) * share * CREDIT_FACTOR;
    this.#credit = Math.min(MOST_CREDIT, this.#credit + earned);
    this.#creditedAt = picks;
    if (this.#credit < 1) return false;
    this.#credit--;
    return true;
  }
}

/** Who is known since when, by id. Those who are gone are forgotten. */
export class Members<Server> {
  readonly #idOf: (server: Server) => unknown;
  readonly #incarnationOf: (server: Server) => unknown;
  readonly #members = new Map<unknown, Member>();
  #sweepAbove = FIRST_SWEEP;

  constructor(idOf: (server: Server) => unknown, incarnationOf: (server: Server) => unknown) {
    this.#idOf = idOf;
    this.#incarnationOf = incarnationOf;
  }

  get size(): number {
    return this.#members.size;
  }

  get(server: Server): Member | undefined {
    return this.#members.get(this.#idOf(server));
  }

  /** The one that it is; who is not known came at `cameMs`. */
  memberOf(server: Server, cameMs: number): Member {
    const id = this.#idOf(server);
    const incarnation = this.#incarnationOf(server);
    const known = this.#members.get(id);
    if (known !== undefined && known.incarnation === incarnation) return known;
    const member = new Member(id, incarnation, cameMs);
    this.#members.set(id, member);
    return member;
  }

  /** It has left an array that changed in place. A smaller array shows no one's leave. */
  forget(member: Member): void {
    if (this.#members.get(member.id) === member) this.#members.delete(member.id);
  }

  /** For those who hand over another array every time: when too many are known, all are forgotten but these. */
  sweep(wanted: () => Iterable<Iterable<Member>>): void {
    if (this.#members.size <= this.#sweepAbove) return;
    const kept = new Set<Member>();
    for (const members of wanted()) for (const member of members) kept.add(member);
    for (const [id, member] of this.#members) if (!kept.has(member)) this.#members.delete(id);
    this.#sweepAbove = Math.max(FIRST_SWEEP, this.#members.size * 2);
  }
}
