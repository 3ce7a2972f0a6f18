import { expect, test } from "vitest";
import { TlsError } from "../../../src/connection/tls/tls-error.ts";
import { errorOfCall, withUnknownOutcome } from "../../../src/errors/of-call.ts";
import * as door from "../../../src/index.ts";

// What a call rejects with is a copy of what went wrong, with the call's name, and says whether it may have been done.

type ErrorClass = new (message: string, details: object) => door.EtcdError;

const classes = ([...Object.values(door), TlsError] as readonly unknown[]).filter(
  (value): value is ErrorClass =>
    typeof value === "function" && value.prototype instanceof door.EtcdError && value !== door.InvalidOptionError,
);

test("there are such classes", () => {
  expect(classes.map(({ name }) => name)).toEqual(expect.arrayContaining(["UnavailableError", "TlsError"]));
});

test.each(classes.filter(({ name }) => name !== "InvalidOptionError").map((each) => [each.name, each] as const))(
  "a copy of %s is one, and says what the first one says",
  (_, Class) => {
    const cause = new Error("it");
    const first = new Class("it failed", { cause, retryable: true, part: "ca", problem: "is empty" });
    const known = errorOfCall(() => "put k", first, undefined) as door.EtcdError;
    const unknown = withUnknownOutcome(first, undefined) as door.EtcdError;
    expect(known).toBeInstanceOf(Class);
    expect(unknown).toBeInstanceOf(Class);
    expect({ ...known }).toEqual({ ...first });
    expect({ ...unknown }).toEqual({ ...first, outcomeUnknown: true });
    expect({ ...(errorOfCall(() => "put k", unknown, undefined) as object) }).toEqual({ ...unknown });
    expect([known.message, known.cause, unknown.cause]).toEqual(["put k: it failed", first, cause]);
  },
);
