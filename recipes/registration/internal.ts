// How a key is kept registered, and what ServiceRegister and RegistrationGroup make of it: their users do not see this.
export { BulkWriter } from "./bulk-writer.ts";
export {
  type Beside,
  findForeignFormat,
  folderOf,
  foreignFormat,
  isForeign,
  MOST_LOOKED_AT,
} from "./foreign-formats.ts";
export { KeyFollower } from "./key-follower.ts";
export type { KeyKeeper, KeySurroundings } from "./key-keeper.ts";
export { LeftoverKey } from "./leftover-key.ts";
export { LoneWriter, type LoneWriterOwner } from "./lone-writer.ts";
export { LookRound } from "./look-round.ts";
export { closeLimitMs, RegisteredKey } from "./registered-key.ts";
export type { KeyOwner } from "./registration-life.ts";
export {
  checkAddress,
  type ResolvedRegistration,
  resolveClose,
  resolveRegistration,
} from "./registration-options.ts";
