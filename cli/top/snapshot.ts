/** What `top` shows of one service. */
export interface ServiceRow {
  readonly id: string;
  readonly address: string;
  readonly weight: number;
  /** `metadata.zone`, if that is text. */
  readonly zone: string | undefined;
  readonly draining: boolean;
  /** How long it is known to be there. */
  readonly ageMs: number;
  /** It was there before the program looked: it is at least so old. etcd keeps no times. */
  readonly olderThanAge: boolean;
}

export interface ServicesSection {
  readonly type: "services";
  readonly name: string;
  readonly rows: readonly ServiceRow[];
}

/** The first of those in line below a name, with the fencing token that it has; undefined: none is in line. */
export interface LineHead {
  /** What a candidate says of itself; of a lock, which says nothing, its lease. */
  readonly who: string;
  readonly token: number;
  /** What is left of its lease, when it was read; undefined without a lease. */
  readonly leaseLeftMs: number | undefined;
}

/** An election or a lock. */
export interface LineSection {
  readonly type: "election" | "lock";
  readonly name: string;
  readonly head: LineHead | undefined;
  /** Who waits, the next one first. */
  readonly waiting: readonly string[];
}

export interface QueueSection {
  readonly type: "queue";
  readonly name: string;
  /** Not acknowledged yet: ready, delayed and in hand. */
  readonly jobs: number;
  readonly dead: number;
  readonly workers: number;
  /** Those of them that have nothing to do. */
  readonly idleWorkers: number;
}

export type Section = ServicesSection | LineSection | QueueSection;

/** Everything that is shown, as etcd had it `ageMs` ago. */
export interface Snapshot {
  readonly sections: readonly Section[];
  /** How old the oldest part of it is; 0 while etcd answers. */
  readonly ageMs: number;
  /** Why it is old. */
  readonly problem: string | undefined;
}
