import { UsageError } from "./exit-codes.ts";

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A timer of Node takes no more, 24.8 days; nor do the library's options that wait. */
const MOST_TIMER_MS = 2 ** 31 - 1;
/** etcd's own limit of a TTL (lease/lessor.go). */
const MOST_TTL_SECONDS = 9_000_000_000;

export interface DurationBounds {
  /** @default 1 */
  readonly leastMs?: number;
  /** @default what a timer takes */
  readonly mostMs?: number;
  /** How it is said. @default its two largest units */
  readonly mostText?: string;
}

/**
 * "500ms", "5s", "2m", "1h", "7d", in whole milliseconds. Where 0 is allowed it needs no unit.
 *
 * @throws UsageError, which names the option: the library would name its own
 */
export function parseDuration(
  option: string,
  text: string,
  { leastMs = 1, mostMs = MOST_TIMER_MS, mostText = durationText(mostMs) }: DurationBounds = {},
): number {
  if (text === "0" && leastMs === 0) return 0;
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  if (number === "") throw new UsageError(`${option} is a time such as 500ms, 5s or 2m, not "${text}"`);
  const ms = Math.round(Number(number) * units[unit as keyof typeof units]);
  if (ms < leastMs) throw new UsageError(`${option} is at least ${leastMs}ms, not "${text}"`);
  if (ms > mostMs) throw new UsageError(`${option} is at most ${mostText}, not "${text}"`);
  return ms;
}

/** The TTL of a lease. @throws UsageError, also for a part of a second: etcd counts whole ones */
export function parseTtlSeconds(option: string, text: string): number {
  const bounds = { mostMs: MOST_TTL_SECONDS * 1_000, mostText: `${MOST_TTL_SECONDS}s` };
  const seconds = parseDuration(option, text, bounds) / 1_000;
  if (Number.isInteger(seconds)) return seconds;
  throw new UsageError(`${option} is a whole number of seconds such as 5s or 2m, not "${text}"`);
}

/** For people: the two largest units. */
export function durationText(ms: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.round(ms / 1_000));
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3_600],
    ["m", 60],
    ["s", 1],
  ] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count}${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** A whole number. @throws UsageError */
export function wholeNumber(option: string, text: string, atLeast: number, atMost = Number.MAX_SAFE_INTEGER): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= atLeast && number <= atMost) return number;
  const bounds = atMost === Number.MAX_SAFE_INTEGER ? `of at least ${atLeast}` : `from ${atLeast} to ${atMost}`;
  throw new UsageError(`${option} is a whole number ${bounds}, not "${text}"`);
}
