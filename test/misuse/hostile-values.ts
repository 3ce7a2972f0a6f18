import type { Seeded } from "../support/seeded.ts";

/** Terminal escapes, line breaks, NUL and what else forges a line or moves a cursor. */
export const nastyText = "\u0000\r\nforged line\u001b[2J\u001b]0;title\u0007\u009b31m\u202e\u2028\u007f";

const nastyNames = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "then", "valueOf", "length"];

/** No code may see a property of this name on an object that has none of its own. */
export const pollution = "polluted by a hostile value";

/** JSON as it is written by hand: numbers and duplicate keys that `JSON.stringify` never writes. */
const nastyScalars = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "-1",
  "1.5",
  "1e308",
  "5e-324",
  "1e999",
  "-1e999",
  "9007199254740993",
  "18446744073709551616",
  '""',
  '" "',
  '"__proto__"',
  '"\\ud800"',
  '"\\udfff\\ud800"',
  '"\\u0000"',
  '"\\ufffd"',
  '"NaN"',
  "[]",
  "{}",
  "[[]]",
  '[{"__proto__":[]}]',
];

/** Deeper than a recursion that reads or writes it one level at a time survives. */
export function deep(levels: number, open = '{"a":', core = "1", close = "}"): string {
  return open.repeat(levels) + core + close.repeat(levels);
}

/** One JSON value, as text. */
export function nastyJson(random: Seeded, depth = 2): string {
  const draw = random.next();
  if (depth === 0 || draw < 0.4) return random.pick(nastyScalars);
  if (draw < 0.5) return JSON.stringify(nastyText.repeat(random.between(1, 3)));
  if (draw < 0.55) return deep(10_000);
  if (draw < 0.6) return deep(10_000, "[", "", "]");
  if (draw < 0.65) return JSON.stringify("x".repeat(100_000));
  if (draw < 0.7) return "9".repeat(random.between(20, 5_000));
  if (draw < 0.8) return `[${times(random.between(0, 5), () => nastyJson(random, depth - 1)).join()}]`;
  return `{${times(random.between(0, 5), () => nastyField(random, depth - 1)).join()}}`;
}

function nastyField(random: Seeded, depth: number): string {
  const polluting = `{${JSON.stringify(pollution)}:true}`;
  const name = random.pick([...nastyNames, "", "Addr", "Metadata", "info", nastyText, "a".repeat(1_000)]);
  return `${JSON.stringify(name)}:${random.chance(0.4) ? polluting : nastyJson(random, depth)}`;
}

/** An object of a known shape with something wrong in one of its fields, or beside them, or twice. */
export function nastyObject(random: Seeded, fields: Readonly<Record<string, string>>): string {
  const names = Object.keys(fields);
  const broken = random.pick(names);
  const written = names.flatMap((name) => {
    const field = (value: string) => `${JSON.stringify(name)}:${value}`;
    const good = fields[name] as string;
    if (name !== broken) return [field(good)];
    const draw = random.next();
    if (draw < 0.15) return [];
    if (draw < 0.3) return [field(good), field(nastyJson(random))];
    if (draw < 0.4) return [field(nastyJson(random)), field(good)];
    return [field(nastyJson(random))];
  });
  if (random.chance(0.5)) written.push(nastyField(random, 2));
  if (random.chance(0.3)) written.unshift(`"__proto__":{${JSON.stringify(pollution)}:true}`);
  return `{${written.join()}}`;
}

/** A value: anything from nothing to a megabyte, text or bytes, JSON of the right shape or of none. */
export function nastyValue(random: Seeded, fields: Readonly<Record<string, string>>): string | Uint8Array {
  const draw = random.next();
  if (draw < 0.5) return nastyObject(random, fields);
  if (draw < 0.65) return nastyJson(random);
  if (draw < 0.7) return bytes(random, random.between(0, 2_000));
  if (draw < 0.73) return Buffer.concat([Buffer.from('{"Addr":"'), bytes(random, 20), Buffer.from('"}')]);
  if (draw < 0.76) return new Uint8Array(1_000_000).fill(random.pick([0, 0x20, 0x5b, 0x7b, 0x39, 0xff]));
  if (draw < 0.78) return `{"endpoints":[${"0,".repeat(400_000)}0]}`;
  return random.pick([
    "",
    " ",
    "{",
    "[",
    "]",
    '"',
    "\ufeff{}",
    "[".repeat(50_000),
    '{"Addr":'.repeat(20_000),
    deep(100_000, "[", "", "]"),
    nastyText,
    `a${nastyText}:80`,
    "undefined",
    "NaN",
    "0x10",
    "１２７.0.0.1:80",
    "\u202e127.0.0.1:80",
    `http://${"a".repeat(100_000)}`,
  ]);
}

/** What stands behind a prefix: text and bytes that hurt where a key is reported, looked up, split or sorted. */
export function nastyKey(random: Seeded, index: number): string | Uint8Array {
  const unique = `${index}-${random.between(0, 1_000_000)}`;
  const draw = random.next();
  if (draw < 0.2) return Buffer.concat([Buffer.from(unique), bytes(random, random.between(1, 20))]);
  if (draw < 0.4) return `${random.pick(nastyNames)}/${unique}`;
  if (draw < 0.5) return `${unique}${nastyText}`;
  if (draw < 0.6) return `../../${unique}`;
  if (draw < 0.65) return `${unique}/${"k".repeat(30_000)}`;
  if (draw < 0.7) return `/${unique}//`;
  if (draw < 0.75) return `${unique}\ufeff\ufffd`;
  return unique;
}

export function bytes(random: Seeded, length: number): Buffer {
  return Buffer.from(times(length, () => random.between(0, 255)));
}

/** One key: a prefix and what stands behind it. */
export function keyUnder(prefix: string, id: string | Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), typeof id === "string" ? Buffer.from(id) : id]);
}

export function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
