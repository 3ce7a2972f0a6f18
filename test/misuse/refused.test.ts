import { afterAll, beforeAll, expect, test } from "vitest";
import * as door from "../../recipes/index.ts";
import type { FuzzedCall } from "./hostile-options.ts";
import { closed, endPublicCalls, methodsOf, publicCalls, publicObjects, startPublicCalls } from "./public-calls.ts";

// What is wrong is not only answered with an error of ours: it is refused by the name that the caller knows, with what
// was given, and before anything is sent. A call that takes it silently does something else than its caller means.

beforeAll(startPublicCalls);
afterAll(endPublicCalls);

class Wrong {}

/** What no option and no argument is. */
const wrongValues: Readonly<Record<string, () => unknown>> = {
  Wrong: () => new Wrong(),
  Promise: () => Promise.resolve({}),
  symbol: () => Symbol("s"),
};

const wrongOptions: Readonly<Record<string, () => unknown>> = {
  ...wrongValues,
  AbortSignal: () => new AbortController().signal,
  array: () => [],
  '"text"': () => "text",
  null: () => null,
};

test("unknown names, options that are none, and wrong values are refused by name", async () => {
  const wrong: string[] = [];
  for (const make of publicCalls) {
    const called = make();
    for (const [how, args, option, given] of refusals(called)) {
      const error = await refusalOf(called, args);
      const named = error instanceof door.InvalidOptionError && (option === undefined || error.option.endsWith(option));
      if (named && error.message.includes(given)) continue;
      wrong.push(`${called.what}, ${how}: ${error === undefined ? "taken" : String(error).slice(0, 200)}`);
    }
  }
  expect(wrong).toEqual([]);
}, 120_000);

test("every public call has its row", async () => {
  const rows = new Set(publicCalls.map((make) => make().what.split(",")[0]));
  const missing: string[] = [];
  for (const [name, exported] of Object.entries(door)) {
    if (typeof exported !== "function" || exported.prototype instanceof Error || takeNothing.has(name)) continue;
    if (!rows.has(name)) missing.push(name);
  }
  for (const made of await publicObjects()) {
    for (const method of methodsOf(made)) {
      const name = `${made.constructor.name}.${method}`;
      if (unpublished.has(name) || (made instanceof door.ServiceList && rows.has(`SubscribeService.${method}`)))
        continue;
      if (!rows.has(name) && !rows.has(method) && !takeNothing.has(method)) missing.push(name);
    }
  }
  expect(missing).toEqual([]);
});

/** These have no arguments, or are handed on as they are. */
const takeNothing = new Set([
  "allKeys",
  "defaultClient",
  "EtcdError",
  "isFailedResponse",
  "ServiceList",
  "close",
  "remainingMs",
  "lapse",
  "abandon",
  "list",
  "nodes",
  "removeAllListeners",
  "resign",
]);

/** Called within the package; no published type has them. */
const unpublished = new Set([
  ...["SubscribeService", "ServiceView"].flatMap((list) =>
    ["reported", "take", "finish", "caughtUp"].map((it) => `${list}.${it}`),
  ),
  ...["follow", "statusChanged", "failed"].map((method) => `ServiceView.${method}`),
  ...["startAfter", "closeWith", "end", "fail", "warn"].map((method) => `RegisteredMember.${method}`),
  ...["HeldLease.lose", "HeldLease.replaced", "HeldJob.lose"],
  ...["RunningTerm", "HeldLock"].flatMap((held) => ["end", "giveUp", "leave"].map((method) => `${held}.${method}`)),
]);

function* refusals({
  args,
  names,
  free = [],
}: FuzzedCall): Generator<[how: string, args: unknown[], option: string | undefined, given: string]> {
  const last = args.length - 1;
  const positional = names ? last : args.length;
  for (let at = 0; at < positional; at++) {
    if (free.includes(at)) continue;
    for (const [given, value] of Object.entries(wrongValues)) {
      yield [`argument ${at + 1} is a ${given}`, args.with(at, value()), undefined, given];
    }
  }
  if (!names) return;
  const options = args.at(-1) as object;
  yield ["an unknown option", args.with(last, { ...options, tmieuotMs: 1 }), "tmieuotMs", "is not an option"];
  for (const [given, value] of Object.entries(wrongOptions)) {
    yield [`the options are a ${given}`, args.with(last, value()), undefined, given];
  }
  for (const name of names) {
    if (free.includes(name)) continue;
    for (const [given, value] of Object.entries(wrongValues)) {
      yield [`${name} is a ${given}`, args.with(last, { ...options, [name]: value() }), name, given];
    }
  }
}

/** What a call is refused with; undefined when it is taken. */
async function refusalOf({ call }: FuzzedCall, args: readonly unknown[]): Promise<unknown> {
  try {
    await closed(await call(...args));
    return undefined;
  } catch (error) {
    return error ?? new Error("refused without an error");
  }
}
