import { z } from "zod";
import { LONGEST_DELAY_MS } from "../../src/internal/index.ts";

/** A number of milliseconds that a timer can wait. */
const delayMs = z.number("must be a number of milliseconds").max(LONGEST_DELAY_MS, "must be below 2^31 ms");

export const delayAtLeast0 = delayMs.min(0, "must be at least 0");
export const delayAbove0 = delayMs.gt(0, "must be above 0");
