// Checks of arguments and fields of zod schemas that several recipes have. A room of its own, so that no published type
// leads to zod.
export { callFields, resolveCall } from "./call-fields.ts";
export {
  checkCallable,
  checkDetachedTtl,
  checkFoundId,
  checkId,
  checkKey,
  checkLength,
  checkName,
  checkText,
  checkTtlSeconds,
  checkValue,
  delimitedPrefix,
  LARGEST_DETACHED_TTL_SECONDS,
} from "./checks.ts";
export { clientField } from "./client-field.ts";
export { delayAbove0, delayAtLeast0 } from "./delays.ts";
export { healthFields, resolveHealth } from "./health-fields.ts";
export { inEnglish } from "./in-english.ts";
export { foreignFormatsField, registrationFields } from "./registration-fields.ts";
