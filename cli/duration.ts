import { UsageError } from "./exit-codes.ts";

const units = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A timer of Node takes no more, 24.8 days. */
export const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * "500ms", "5s", "2m", "1h", "7d", in whole milliseconds.
 *
 * @param mostMs where a timer waits for it: {@link MOST_TIMER_MS}
 * @throws UsageError
 */
export function parseDuration(option: string, text: string, mostMs = Number.MAX_SAFE_INTEGER): number {
  const [, number = "", unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Math.round(Number(number) * units[unit as keyof typeof units]);
  if (number === "" || ms < 1) throw new UsageError(`${option} is a time such as 500ms, 5s or 2m, not "${text}"`);
  if (ms > mostMs) throw new UsageError(`${option} is at most ${durationText(mostMs)}, not "${text}"`);
  return ms;
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
