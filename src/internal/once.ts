/**
 * What is made when it is first asked for, and kept: of what an import makes, each start of a program waits for all.
 */
export function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
