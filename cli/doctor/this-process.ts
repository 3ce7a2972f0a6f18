import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { type Finding, ok, warn } from "./finding.ts";

const STALL_MS = 500;
const STEP_MS = 250;
/** Long enough to see a machine that is short of CPU. */
const LOOK_MS = 500;

/** Looks at the clock and the event loop while the other checks run. */
export class ProcessWatch {
  readonly #delay = monitorEventLoopDelay({ resolution: 10 });
  readonly #now: () => number;
  readonly #wallMs: number;
  readonly #startMs = performance.now();

  /** @param now the clock of the machine, in milliseconds */
  constructor(now = () => Date.now()) {
    this.#now = now;
    this.#wallMs = now();
    this.#delay.enable();
  }

  async findings(): Promise<readonly Finding[]> {
    await sleep(LOOK_MS);
    this.#delay.disable();
    const stallMs = this.#delay.max / 1e6;
    // Not -0, which toFixed() writes so; + 0 makes it 0.
    const steppedMs = Math.round(this.#now() - this.#wallMs - (performance.now() - this.#startMs)) + 0;
    const stall = `the event loop stood still for ${stallMs.toFixed(0)} ms at most`;
    const step = `the clock moved by ${steppedMs} ms against the monotonic one`;
    return [
      stallMs < STALL_MS
        ? ok("event loop", stall)
        : warn("event loop", stall, "this machine is short of CPU: leases need it several times a second"),
      Math.abs(steppedMs) < STEP_MS ? ok("clock", step) : warn("clock", step, "who sets it? NTP should slew it"),
    ];
  }
}
