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

/** Their constructors differ; what every instance has does not depend on what it is told. */
function make(errorClass: ErrorClass): Error & { readonly code: string } {
  return Reflect.construct(errorClass, ["a", "b", "c"]);
}

const ofEtcd = errorClasses(recipes);

test("every error class of the package is an EtcdError, and each has a code of its own", () => {
  expect(ofEtcd.length).toBeGreaterThan(15);
  expect(ofEtcd.filter(([, errorClass]) => !(errorClass.prototype instanceof EtcdError))).toEqual([]);
  const codes = ofEtcd.map(([, errorClass]) => make(errorClass).code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(new Set(errorCodes).size).toBe(errorCodes.length);
});

describe.each([...ofEtcd, ...errorClasses(testing)])("%s", (name, errorClass) => {
  const error = make(errorClass);

  test("has a literal name, which a minifier cannot change, and a stable code", () => {
    expect(Object.hasOwn(error, "name")).toBe(true);
    expect(error.name).toBe(name);
    expect(error.stack).toMatch(name);
    if (error instanceof EtcdError) expect(errorCodes).toContain(error.code);
    else expect(error.code).toMatch(/^ETCD_[A-Z_]+$/);
  });
});
