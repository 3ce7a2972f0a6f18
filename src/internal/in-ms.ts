/** A time for a message: what is left of a caller's time is seldom a whole number of milliseconds. */
export function inMs(ms: number): string {
  return `${ms < 10 ? Number(ms.toPrecision(1)) : Math.round(ms)} ms`;
}
