export type { ServiceRegisterOptions } from "./options.ts";
export type { RegisterConflict, RegisterStatus, ServiceRegisterEvents } from "./register-events.ts";
export type { CloseOptions, ServiceUpdate } from "./registration-options.ts";
export { ServiceRegister } from "./service-register.ts";
