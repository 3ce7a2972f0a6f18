export { decodeRegistration } from "./decode.ts";
export { encodeRegistration, registrationRoom } from "./encode.ts";
export { InvalidValueError } from "./invalid-value-error.ts";
export { DEFAULT_WEIGHT, type Registration, type RegistrationFormat, reservedNames } from "./registration.ts";
