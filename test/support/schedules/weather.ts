import type { Seeded } from "../seeded.ts";

/** How likely it is that something goes wrong, as a part of one. */
export interface Weather {
  /** A way takes up to a second, or so long that the caller has given up. */
  readonly slow: number;
  readonly late: number;
  /** A call's connection breaks: before it left, on its way, or on the way of its answer. */
  readonly refused: number;
  readonly lostRequest: number;
  readonly lostAnswer: number;
  /** A call gets no answer, and no word of that. */
  readonly silent: number;
  /** A stream breaks at this message, or says nothing from it on. */
  readonly brokenStream: number;
  readonly mutedStream: number;
}

export const calm: Weather = {
  slow: 0,
  late: 0,
  refused: 0,
  lostRequest: 0,
  lostAnswer: 0,
  silent: 0,
  brokenStream: 0,
  mutedStream: 0,
};

/** Each kind of fault in half of the worlds only: one that is always there hides what others do. */
export function someWeather(random: Seeded): Weather {
  const some = (most: number) => (random.chance(0.5) ? random.next() * most : 0);
  return {
    slow: some(0.3),
    late: some(0.06),
    refused: some(0.15),
    lostRequest: some(0.1),
    lostAnswer: some(0.15),
    silent: some(0.06),
    brokenStream: some(0.05),
    mutedStream: some(0.03),
  };
}
