import { afterAll, beforeAll } from "vitest";
import { started } from "./secure-testing.ts";

// For a run of tests that know nothing of it: every etcd is under mutual TLS with authentication on, every client finds
// its certificates and its user in the environment, as a program in production does, and lets its writes travel
// together. It is `throughSecurity` that gives them the modules that do so.

let before = 0;
beforeAll(() => {
  before = started.clusters;
});
// A module that has moved is not replaced, and nothing else would fail.
afterAll(() => {
  if (started.clusters === before) throw new Error("the tests ran without TLS and users");
});
