export type {
  CloseOptions,
  RegisterConflict,
  RegisterStatus,
  ServiceRegisterEvents,
  ServiceUpdate,
} from "../registration/index.ts";
export type { ServiceRegisterOptions } from "./options.ts";
export { ServiceRegister } from "./service-register.ts";
