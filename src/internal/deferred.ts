/** A promise with its two ends (Node 20 lacks `Promise.withResolvers`). */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** Like `deferred()`, but the promise may stay unused: a rejection that no one awaits never crashes the process. */
export function quietDeferred<T>(): Deferred<T> {
  const created = deferred<T>();
  created.promise.catch(() => {});
  return created;
}
