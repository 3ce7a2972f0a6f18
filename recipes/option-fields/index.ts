// Fields of zod schemas that several recipes have: a room of its own, so that no published type leads to zod.
export { callFields, resolveCall } from "./call-fields.ts";
export { clientField } from "./client-field.ts";
export { healthFields, resolveHealth } from "./health-fields.ts";
export { registrationFields } from "./registration-fields.ts";
