export { decodeRegistration } from "./decode.ts";
export { encodeRegistration, registrationRoom } from "./encode.ts";
export { DEFAULT_WEIGHT, type Registration, type RegistrationFormat, reservedNames } from "./registration.ts";
