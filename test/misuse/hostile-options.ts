/** A call as it is right, and the names of what its last argument, an object of options, may have. */
export interface FuzzedCall {
  readonly what: string;
  readonly args: readonly unknown[];
  readonly names?: readonly string[];
  /** The arguments, by place, and the options, by name, that may be anything. */
  readonly free?: readonly (number | string)[];
  call(...args: unknown[]): unknown;
}

const thrown = new Error("thrown by a getter");
const throwing = () => {
  throw thrown;
};
const traps = Object.fromEntries(
  ["get", "has", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor", "set", "defineProperty", "apply"].map(
    (name) => [name, throwing],
  ),
);

class Inherited {
  get timeoutMs() {
    return 1;
  }
}

/** What no reader of the types would give. Made anew for each call: some of it changes when it is used. */
export function wrongValues(): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>([
    ["null", null],
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["-1", -1],
    ["-0", -0],
    ["0.5", 0.5],
    ["2^53", 2 ** 53],
    ["1e308", 1e308],
    ["a bigint", 5n],
    ["true", true],
    ["an empty string", ""],
    ["a string", "1"],
    ["a slash", "/"],
    ["__proto__", "__proto__"],
    ["a lone surrogate", "\ud800"],
    ["control characters", "\u0000\n\u001b[2J"],
    ["a huge string", "x".repeat(200_000)],
    ["a symbol", Symbol("s")],
    ["a function", () => undefined],
    ["a function that throws", throwing],
    ["an empty array", []],
    ["an array", [null, {}, "x", Symbol("s")]],
    ["a huge array", new Array(100_000).fill(0)],
    ["an empty object", {}],
    ["an object without a prototype", Object.create(null)],
    ["an object with an own __proto__", JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{}}}')],
    ["an instance", new Inherited()],
    ["a date", new Date(Number.NaN)],
    ["a regular expression", /x/],
    ["a map", new Map([["a", 1]])],
    ["bytes", new Uint8Array(3)],
    ["no bytes", new Uint8Array(0)],
    ["an aborted signal", AbortSignal.abort(thrown)],
    ["a thing that looks like a signal", { aborted: false, addEventListener: () => {} }],
    ["an object that is no text", { toString: throwing, valueOf: throwing, [Symbol.toPrimitive]: throwing }],
    ["an object whose properties throw", new Proxy({}, traps)],
    ["a function whose properties throw", new Proxy(() => {}, traps)],
    ["a revoked proxy", revoked()],
  ]);
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

/** Every argument wrong in every way, then every option, then options that do not exist or cannot be read. */
export function* variants({ args, names }: FuzzedCall): Generator<[how: string, args: unknown[]]> {
  for (const at of args.keys()) {
    for (const [how, value] of wrongValues()) yield [`argument ${at + 1} is ${how}`, args.with(at, value)];
  }
  if (!names) return;
  const options = args.at(-1) as object;
  const last = args.length - 1;
  for (const name of names) {
    for (const [how, value] of wrongValues())
      yield [`${name} is ${how}`, args.with(last, { ...options, [name]: value })];
    const getter = Object.defineProperty({ ...options }, name, { get: throwing, enumerable: true });
    yield [`${name} is a getter that throws`, args.with(last, getter)];
  }
  for (const name of ["unknown", "__proto__", "constructor", "\u001b[2J\n", "x".repeat(100_000)]) {
    yield [
      `an option ${name.slice(0, 20)}`,
      args.with(last, Object.defineProperty({ ...options }, name, { value: 1, enumerable: true })),
    ];
  }
}

const HANG_MS = 10_000;

/** Makes every wrong call. @returns those that neither succeeded nor failed with an error that says what is wrong */
export async function fuzz(
  fuzzed: FuzzedCall,
  isTyped: (error: unknown) => boolean,
  close: (made: unknown) => Promise<void>,
  isWanted: () => boolean = () => true,
): Promise<string[]> {
  const wrong: string[] = [];
  let last = "";
  const unhandled = (error: unknown) => wrong.push(`${last}: unhandled: ${describe(error)}`);
  process.on("unhandledRejection", unhandled);
  try {
    for (const [how, args] of variants(fuzzed)) {
      if (!isWanted()) continue;
      last = `${fuzzed.what}, ${how}`;
      const made = await settle(async () => close(await fuzzed.call(...args)));
      if (made !== undefined && !isTyped(made)) wrong.push(`${last}: ${describe(made)}`);
    }
    // An unhandled rejection is reported a turn later.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("unhandledRejection", unhandled);
  }
  return wrong;
}

async function settle(call: () => Promise<unknown>): Promise<unknown> {
  let timer: NodeJS.Timeout | undefined;
  const hang = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("it hangs"), HANG_MS);
  });
  try {
    return await Promise.race([
      call().then(
        () => undefined,
        (error: unknown) => error ?? "failed without an error",
      ),
      hang,
    ]);
  } finally {
    clearTimeout(timer);
  }
}

function describe(error: unknown): string {
  return error instanceof Error
    ? `${error.name}: ${error.message.slice(0, 200)} ${error.stack?.split("\n")[1]?.trim()}`
    : String(error);
}

/** The reason of the aborted signal that it was given. */
export function isOwnReason(error: unknown): boolean {
  return error === thrown;
}

/** Reading one gets this from the language itself. */
export function isRevokedProxy(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("on a proxy that has been revoked");
}

/** What it says is one line of bounded length, whatever was given. */
export function isReadable({ message }: Error): boolean {
  return message.length < 20_000 && !/\p{Cc}/u.test(message);
}
