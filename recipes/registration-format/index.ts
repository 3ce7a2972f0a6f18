export type { RegistrationFormat } from "./registration.ts";
