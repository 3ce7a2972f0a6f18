import { type Clock, systemClock } from "./clock.ts";

/** What the engines need from their surroundings; given at the composition root, replaced in unit tests. */
export interface Runtime {
  readonly clock: Clock;
  /** A number in [0, 1), for delays and choices; never for ids that must be unique. */
  readonly random: () => number;
  /** See `uniqueNumber()`. @default from `node:crypto` */
  readonly uniqueNumber?: (() => bigint) | undefined;
}

export const systemRuntime: Runtime = { clock: systemClock, random: Math.random };
