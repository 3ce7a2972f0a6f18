type Numbers = Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

const FIRST_CAPACITY = 64;

/** The same numbers, with room for one at `index`: at least twice as many, so that growing costs nothing on average. */
export function roomFor<Kind extends Numbers>(numbers: Kind, index: number, filledWith = 0): Kind {
  if (index < numbers.length) return numbers;
  let capacity = Math.max(FIRST_CAPACITY, numbers.length * 2);
  while (capacity <= index) capacity *= 2;
  const larger = new (numbers.constructor as new (length: number) => Kind)(capacity);
  larger.set(numbers);
  if (filledWith !== 0) larger.fill(filledWith, numbers.length);
  return larger;
}
