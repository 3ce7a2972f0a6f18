export type { DrainRequest } from "./drain-request.ts";
export type { RegistrationFormat } from "./registration.ts";
