import { type Runtime, systemRuntime } from "./runtime.ts";

const given = new WeakMap<object, Runtime>();

/** Time and chance as a client has them: its recipes live by the same. */
export function runtimeOf(client: object): Runtime {
  return given.get(client) ?? systemRuntime;
}

/** Called once, when the client is made. */
export function setRuntime(client: object, runtime: Runtime): void {
  given.set(client, runtime);
}
