import { setImmediate } from "node:timers";
import { seeded } from "../seeded.ts";
import { World } from "./world.ts";

export interface ExploreOptions {
  /**
   * Times `TEST_SCHEDULES`. Without that variable they are the same worlds each time, with it others, by `TEST_SEED`.
   */
  readonly schedules: number;
  /** Only this one, to look at it. @default `TEST_SCHEDULE` */
  readonly only?: number | undefined;
  /** Those that were red once, as a failure names them: they are run as well, unless others are explored. */
  readonly kept?: readonly Kept[];
}

export interface Kept {
  readonly seed: number;
  readonly schedule: number;
}

/** The worlds of a run that explores nothing: the same ones each time, so that it judges the change at hand. */
const USUAL_SEED = 1;
/** How many worlds take turns: a turn of the event loop serves all of them, and none of them knows of the others. */
const AT_ONCE = 32;
/** No schedule needs as much; one that goes in circles does. */
const MOST_STEPS = 200_000;
const LONGEST_MS = 24 * 3_600_000;

/**
 * Runs a scenario in many worlds, each with chances of its own, and fails with the first that fails: with its number,
 * its seed and what happened in it.
 *
 * @returns how many schedules were run, and how many things happened in all of them
 */
export async function explore(
  name: string,
  { only = number(process.env.TEST_SCHEDULE), ...options }: ExploreOptions,
  scenario: (world: World) => Promise<void>,
): Promise<{ readonly schedules: number; readonly steps: number }> {
  const { stackTraceLimit } = Error;
  // Most errors of a world are no failures, and to look where each comes from takes a good part of the time.
  if (only === undefined) Error.stackTraceLimit = 0;
  try {
    return await exploreAll(name, { only, ...options }, scenario);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function exploreAll(
  name: string,
  { schedules, only, kept = [] }: ExploreOptions,
  scenario: (world: World) => Promise<void>,
): Promise<{ readonly schedules: number; readonly steps: number }> {
  const { TEST_SCHEDULES, TEST_SCHEDULE } = process.env;
  const explores = TEST_SCHEDULES !== undefined || TEST_SCHEDULE !== undefined;
  const seed = explores ? undefined : USUAL_SEED;
  const last = only ?? Math.ceil(schedules * (number(TEST_SCHEDULES) ?? 1));
  const waiting = explores ? [] : [...kept];
  const running = new Set<Running>();
  let next = only ?? 1;
  let steps = 0;
  while (running.size > 0 || next <= last || waiting.length > 0) {
    while (running.size < AT_ONCE && (next <= last || waiting.length > 0)) {
      const which = next <= last ? { seed, schedule: next++ } : (waiting.pop() as Kept);
      running.add(new Running(name, which, scenario, only !== undefined));
    }
    await turn();
    for (const one of running) {
      one.step();
      if (!one.over) continue;
      running.delete(one);
      steps += one.steps;
      if (one.failure) throw one.failure;
    }
  }
  // Of one that is repeated nothing is counted.
  return { schedules: only === undefined ? last : 0, steps };
}

/** One world. Without a seed it is that of the run. */
interface Which {
  readonly seed: number | undefined;
  readonly schedule: number;
}

class Running {
  readonly #world: World;
  readonly #title: string;
  #settled = false;
  steps = 0;
  over = false;
  failure: Error | undefined;

  constructor(name: string, { seed, schedule }: Which, scenario: (world: World) => Promise<void>, traced: boolean) {
    const random = seeded(`${name} ${schedule}`, seed);
    this.#title = `schedule ${schedule} of "${name}" (TEST_SEED=${random.seed} TEST_SCHEDULE=${schedule})`;
    this.#world = new World(random);
    if (traced) this.#world.trace();
    scenario(this.#world)
      .catch((error: unknown) => {
        this.#world.failure ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => {
        this.#settled = true;
      });
  }

  step(): void {
    this.steps++;
    const world = this.#world;
    if (!this.#settled && !world.failure) {
      if (this.steps > MOST_STEPS || world.nowMs > LONGEST_MS) world.fail("it goes on for ever");
      else if (!world.step()) world.fail("nothing will ever happen any more, and it is not done");
    }
    if (!this.#settled && !world.failure) return;
    this.over = true;
    for (const { process } of world.machines) process.kill();
    if (!world.failure) return;
    const { message, stack } = world.failure;
    this.failure = new Error(`${this.#title}: ${message}\n${world.lines.join("\n")}`, { cause: world.failure });
    if (stack !== undefined) this.failure.stack = `${this.failure.message}\n${stack}`;
  }
}

/**
 * Everything that waits for nothing but its turn has had it: promises, ticks, and what they leave to the next turn of
 * the event loop, for which it takes a second one.
 */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(resolve));
  });
}

function number(text: string | undefined): number | undefined {
  return text === undefined || text === "" ? undefined : Number(text);
}
