/** What a service says of itself. */
export interface Registration {
  readonly address: string;
  readonly weight: number;
  readonly draining: boolean;
  /** Any JSON; undefined when the format or the writer has none. */
  readonly metadata: unknown;
}

/** The same, to be written: a service need not say its weight. */
export interface OwnRegistration extends Omit<Registration, "weight"> {
  readonly weight: number | undefined;
}

/** A service that says nothing of its weight has this one. */
export const DEFAULT_WEIGHT = 1;

/** Where `weight` and `draining` stand in `Metadata`; taken out before anybody else sees it. */
export const reservedNames = { weight: "etcd-recipes/weight", draining: "etcd-recipes/draining" } as const;
