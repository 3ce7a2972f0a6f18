import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import * as recipes from "../../recipes/index.ts";
import { EtcdError, errorCodes } from "../../src/index.ts";
import * as testing from "../../testing/index.ts";

type ErrorClass = new (...args: never[]) => Error & { readonly code: string };

function errorClasses(door: object): [name: string, errorClass: ErrorClass][] {
  return Object.entries(door).filter(
    ([, value]) => typeof value === "function" && value.prototype instanceof Error && value !== EtcdError,
  );
}

/** Their constructors differ; what every instance has does not depend on its arguments. */
function make(errorClass: ErrorClass): Error & { readonly code: string } {
  return Reflect.construct(errorClass, ["a", "b", "c"]);
}

const ofEtcd = errorClasses(recipes);

test("messages show a time by inMs(): what is left of a caller's time is no whole number", () => {
  const checkout = fileURLToPath(new URL("../..", import.meta.url));
  const files = ["src", "recipes"].flatMap((room) =>
    readdirSync(checkout + room, { recursive: true, encoding: "utf8" }).map((path) => `${room}/${path}`),
  );
  const sources = files.filter((path) => path.endsWith(".ts") && !path.endsWith("/in-ms.ts"));
  expect(sources.length).toBeGreaterThan(100);
  expect(sources.filter((path) => /[mM]s\)?\} ms\b/.test(readFileSync(checkout + path, "utf8")))).toEqual([]);
});

test("every error class of the package is an EtcdError, and each has a code of its own", () => {
  expect(ofEtcd.length).toBeGreaterThan(15);
  expect(ofEtcd.filter(([, errorClass]) => !(errorClass.prototype instanceof EtcdError))).toEqual([]);
  const codes = ofEtcd.map(([, errorClass]) => make(errorClass).code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(new Set(errorCodes).size).toBe(errorCodes.length);
});

describe.each([...ofEtcd, ...errorClasses(testing)])("%s", (name, errorClass) => {
  const error = make(errorClass);

  test("is written by JSON.stringify with its message and what code branches on, without its cause", () => {
    if (!(error instanceof EtcdError)) return;
    const { name: itsName, code, message, retryable, outcomeUnknown } = error;
    const cause = new Error("hunter2");
    const written = JSON.parse(JSON.stringify(error));
    expect(written).toMatchObject({ name: itsName, code, message, retryable, outcomeUnknown });
    expect(JSON.stringify(Reflect.construct(errorClass, ["a", { cause }, { cause }]))).not.toContain("hunter2");
  });

  test("has a literal name, which a minifier cannot change, and a stable code", () => {
    expect(Object.hasOwn(error, "name")).toBe(true);
    expect(error.name).toBe(name);
    expect(error.stack).toMatch(name);
    if (error instanceof EtcdError) expect(errorCodes).toContain(error.code);
    else expect(error.code).toMatch(/^ETCD_[A-Z_]+$/);
  });
});
