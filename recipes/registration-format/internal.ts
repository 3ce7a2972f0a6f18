// What other recipes use of this room, and its users do not see.
export { carries, checkFormat, codecOf } from "./codecs.ts";
export { decodeAs, decodeRegistration } from "./decode.ts";
export { type DrainRequest, readDrainRequest } from "./drain-request.ts";
export { encodeRegistration, registrationRoom, toWrite, unfitText } from "./encode.ts";
export { type OwnRegistration, type Registration, reservedNames } from "./registration.ts";
