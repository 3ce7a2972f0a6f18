import { InvalidOptionError } from "etcd-recipes";

/** @throws InvalidOptionError that names the flag */
export function readNumber(
  program: string,
  flag: string,
  text: string,
  least = 0,
  most = Number.POSITIVE_INFINITY,
): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isFinite(number) && number >= least && number <= most) return number;
  const bounds = Number.isFinite(most) ? `from ${least} to ${most}` : `at least ${least}`;
  throw new InvalidOptionError(program, `--${flag}`, `must be a number, ${bounds}, not "${text}"`);
}

/** @throws InvalidOptionError that names the flag */
export function readWhole(program: string, flag: string, text: string, least = 0): number {
  const number = readNumber(program, flag, text, least);
  if (Number.isSafeInteger(number)) return number;
  throw new InvalidOptionError(program, `--${flag}`, `must be a whole number, at least ${least}, not "${text}"`);
}

/** @throws InvalidOptionError that names the flag */
export function readId(program: string, flag: string, id: string | undefined): string {
  if (id === undefined || !/^[\w.-]+$/.test(id)) {
    throw new InvalidOptionError(program, `--${flag}`, "must be given: letters, digits, dots and dashes");
  }
  return id;
}

/**
 * Never shown: there may be a password in it. `REDIS_URL` when there is no flag; undefined: there is none either.
 * @throws InvalidOptionError that names where it stands
 */
export function readRedisUrl(program: string, flag: string | undefined): string | undefined {
  const url = flag ?? (process.env.REDIS_URL || undefined);
  if (url !== undefined && !/^rediss?:\/\/[^/]/.test(url)) {
    const where = flag === undefined ? "REDIS_URL" : "--redis";
    throw new InvalidOptionError(program, where, "must be an address such as redis://127.0.0.1:6379");
  }
  return url;
}
