export type {
  RegistrationCodec,
  RegistrationFormat,
  RegistrationFormatName,
  RegistrationRead,
  RegistrationToWrite,
} from "./codec.ts";
export type { DrainRequest } from "./drain-request.ts";
