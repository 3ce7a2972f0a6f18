// What other recipes use of this room, and its users do not see.
export { decodeRegistration } from "./decode.ts";
export { type DrainRequest, readDrainRequest } from "./drain-request.ts";
export { encodeRegistration, registrationRoom } from "./encode.ts";
export { DEFAULT_WEIGHT, type Registration, reservedNames } from "./registration.ts";
