import { EtcdError } from "../../src/index.ts";

/** How a promise settled, and when, on the monotonic clock. */
export interface Outcome<T> {
  readonly value?: T;
  readonly error?: unknown;
  readonly tookMs: number;
}

/** Waits for a promise to settle, whichever way. */
export async function outcomeOf<T>(promise: Promise<T>): Promise<Outcome<T>> {
  const started = performance.now();
  try {
    return { value: await promise, tookMs: performance.now() - started };
  } catch (error) {
    return { error, tookMs: performance.now() - started };
  }
}

/** The EtcdError that a promise rejects with. Fails when it resolves or rejects with anything else. */
export async function etcdErrorOf(promise: Promise<unknown>): Promise<EtcdError> {
  const { error, value } = await outcomeOf(promise);
  if (error instanceof EtcdError) return error;
  throw new Error(`no EtcdError, but ${error === undefined ? `the value ${JSON.stringify(value)}` : String(error)}`);
}
