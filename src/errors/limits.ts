/**
 * The longest delay of a timer of Node, in milliseconds: above it `setTimeout` fires at once
 * (nodejs.org/api/timers.html).
 */
export const LONGEST_DELAY_MS = 2 ** 31 - 1;
