/** What an iteration gave so far, read in the background by the only reader that never waits. */
export interface Recording<T> {
  readonly items: readonly T[];
  /** Set when the iteration finished or threw. */
  readonly end: { readonly error?: unknown } | undefined;
  /** Resolves with `end`; never rejects. */
  readonly ended: Promise<{ readonly error?: unknown }>;
}

export function record<T>(source: AsyncIterable<T>): Recording<T> {
  const items: T[] = [];
  let end: { readonly error?: unknown } | undefined;
  const read = async () => {
    try {
      for await (const item of source) items.push(item);
      end = {};
    } catch (error) {
      end = { error };
    }
    return end;
  };
  const ended = read();
  return {
    items,
    ended,
    get end() {
      return end;
    },
  };
}
