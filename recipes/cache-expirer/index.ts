export { CacheExpirer, type CacheExpirerEvents, type CacheExpirerStatus } from "./cache-expirer.ts";
export type { CacheExpirerOptions, ExpireReason } from "./options.ts";
