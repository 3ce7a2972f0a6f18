export type { RegisterConflict, RegisterStatus, ServiceRegisterEvents } from "./register-events.ts";
export type { CloseOptions, ServiceUpdate } from "./registration-options.ts";
