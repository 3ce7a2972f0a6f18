export {
  callback,
  checkPlainObject,
  closestName,
  isPlainObject,
  LONGEST_DELAY_MS,
  type OptionCheck,
  optionsOf,
  shown,
  unawaited,
  unknownOption,
  withUnknownOutcome,
} from "../errors/index.ts";
export { isWellFormed, notWellFormed } from "../errors/well-formed.ts";
export { abortable, onAbort, sleep, within } from "./abort.ts";
export { Admission, type AdmissionOptions } from "./admission.ts";
export { asError } from "./as-error.ts";
export { Backoff, type BackoffOptions } from "./backoff.ts";
export type { Trace } from "./channel.ts";
export type { EnqueueMessage, JobMessage, LockMessage, ServiceAttemptMessage } from "./channel-messages.ts";
export { channels } from "./channels.ts";
export { type Clock, systemClock, type Timer } from "./clock.ts";
export { deadlineSignal } from "./deadline-signal.ts";
export { type Deferred, deferred, quietDeferred } from "./deferred.ts";
export { Heap, type HeapEntry } from "./heap.ts";
export { inMs } from "./in-ms.ts";
export { type KeyFeeds, type KeyListener, keyFeedsOf } from "./key-feeds.ts";
export { log } from "./log.ts";
export { longTimer } from "./long-timer.ts";
export { namespaceOf } from "./namespace-of.ts";
export { once } from "./once.ts";
export { parseOptions } from "./parse-options.ts";
export { patientTimer } from "./patient-timer.ts";
export { placeOfFile, unlessMissing } from "./place-of-file.ts";
export { ProcessWarnings } from "./process-warnings.ts";
export { nextTick, queueMicrotask, setImmediate } from "./real-time.ts";
export { endsRetries, isDenied, isFinal, isOutOfSpace, isRefusal } from "./refusal.ts";
export { type Runtime, systemRuntime } from "./runtime.ts";
export { runtimeOf } from "./runtime-of.ts";
export { isOfOne, sendInParts } from "./send-in-parts.ts";
export { ServerLimits, TxnRoom } from "./server-limits.ts";
export { showAs } from "./show-as.ts";
export { checkSchema, type SchemaResult, type StandardSchema, validateBySchema } from "./standard-schema.ts";
export { timed } from "./timed.ts";
export { timedCalls } from "./timed-calls.ts";
export { nestedSize, opSize, type PartSize } from "./txn-size.ts";
export { uniqueNumber } from "./unique-number.ts";
export { waitedInVain, whyUnreached } from "./waited-in-vain.ts";
export { Wake } from "./wake.ts";
export { watchListeners } from "./watch-listeners.ts";
