export { anyJson } from "./any-json.ts";
export {
  TypedClient,
  type TypedPutOptions,
  type TypedRange,
  type TypedRangeOptions,
  type UntypedCalls,
} from "./typed-client.ts";
export type { InvalidKeyValue, TypedKeyValue } from "./typed-key-value.ts";
export type { TypedMirror, TypedMirrorBatch } from "./typed-mirror.ts";
export type { TypedWatch, TypedWatchBatch, TypedWatchEvent } from "./typed-watch.ts";
