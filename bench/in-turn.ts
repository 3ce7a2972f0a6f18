import { setTimeout as sleep } from "node:timers/promises";
import { collectGarbage } from "./heap.ts";
import { median, type Sample } from "./measure.ts";

/** So long V8 goes on sweeping in other threads, which would be counted. */
const sweepMs = 200;

export interface Contestant<Name extends string> {
  readonly peer: string;
  measure(): Promise<Sample<Name>>;
}

/** The samples of one contestant, one for each round. */
export class Taken<Name extends string> {
  readonly peer: string;
  readonly samples: Sample<Name>[] = [];

  constructor(peer: string) {
    this.peer = peer;
  }

  middle(name: Name): number {
    return median(this.samples.map((sample) => sample[name]));
  }

  /** How many times as much as the other; the median of the rounds, since what disturbed one disturbed both. */
  ratioTo(other: Taken<Name>, name: Name): number {
    return median(this.samples.map((sample, round) => sample[name] / (other.samples[round]?.[name] ?? Number.NaN)));
  }
}

/**
 * Measures all in turn, round after round, each time beginning with another one, after a round that does not count. The
 * garbage of one is collected before the next begins.
 */
export async function inTurn<Name extends string>(
  contestants: readonly Contestant<Name>[],
  rounds: number,
  { warmUp = true }: { warmUp?: boolean } = {},
): Promise<Taken<Name>[]> {
  const all = contestants.map((contestant) => ({ contestant, taken: new Taken<Name>(contestant.peer) }));
  for (let round = warmUp ? -1 : 0; round < rounds; round++) {
    const first = Math.max(round, 0) % all.length;
    for (const { contestant, taken } of [...all.slice(first), ...all.slice(0, first)]) {
      collectGarbage();
      await sleep(sweepMs);
      const sample = await contestant.measure();
      if (round >= 0) taken.samples.push(sample);
    }
  }
  return all.map(({ taken }) => taken);
}

/** @throws RangeError for one that did not take part */
export function takenBy<Name extends string>(all: readonly Taken<Name>[], peer: string): Taken<Name> {
  const found = all.find((taken) => taken.peer === peer);
  if (!found) throw new RangeError(`${peer} did not take part`);
  return found;
}
