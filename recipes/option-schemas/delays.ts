import * as z from "zod/mini";
import { LONGEST_DELAY_MS } from "../../src/internal/index.ts";

/** A number of milliseconds that a timer can wait. */
const delayMs = () =>
  z.number("must be a number of milliseconds").check(z.maximum(LONGEST_DELAY_MS, "must be below 2^31 ms"));

export const delayAtLeast0 = () => delayMs().check(z.minimum(0, "must be at least 0"));
export const delayAbove0 = () => delayMs().check(z.gt(0, "must be above 0"));
