import { endpointCheck } from "./admin/index.ts";
import { callback, flag, type OptionCheck, optionsOf, wholeNumber } from "./errors/check-options.ts";
import { callChecks, signalCheck } from "./model/call-options.ts";
import { leaseIdCheck, leaseRefCheck } from "./model/lease-id.ts";
import { revisionBounds, sortCheck } from "./model/op.ts";
import { keptByPutChecks } from "./model/to-put.ts";

const readChecks = { ...callChecks, revision: wholeNumber(1), serializable: flag };

const rangeChecks = {
  ...readChecks,
  ...Object.fromEntries(revisionBounds.map((bound) => [bound, wholeNumber(1)])),
  limit: wholeNumber(1),
  keysOnly: flag,
  sort: sortCheck,
};

/** Its bounds depend on the TTL, and are looked at with it. */
const seconds: OptionCheck = {
  allowed: "a number of seconds above 0",
  holds: (value) => typeof value === "number" && value > 0,
};

const filters: OptionCheck = {
  allowed: 'a list such as ["put"], without puts, or ["delete"], without deletions: with both nothing would be left',
  holds: (value) =>
    Array.isArray(value) && value.every((type) => type === "put" || type === "delete") && new Set(value).size < 2,
};

/** What the options of each call of the client may be. */
export const checkOf = {
  get: optionsOf("get", readChecks),
  range: optionsOf("range", { ...rangeChecks, countOnly: flag }),
  iterate: optionsOf("iterate", rangeChecks),
  compact: optionsOf("compact", { ...callChecks, physical: flag }),
  put: optionsOf("put", { ...callChecks, ...keptByPutChecks, lease: leaseRefCheck, previous: flag, batch: flag }),
  delete: optionsOf("delete", { ...callChecks, previous: flag, batch: flag }),
  txn: optionsOf("txn", { ...callChecks, batch: flag }),
  stm: optionsOf("stm", callChecks),
  grantLease: optionsOf("grantLease", { ...callChecks, keepAlive: flag, renewEverySeconds: seconds, id: leaseIdCheck }),
  adoptLease: optionsOf("adoptLease", { ...callChecks, keepAlive: flag, renewEverySeconds: seconds }),
  keepAliveOnce: optionsOf("keepAliveOnce", callChecks),
  leases: optionsOf("leases", callChecks),
  health: optionsOf("health", { ...callChecks, endpoint: endpointCheck }),
  syncEndpoints: optionsOf("syncEndpoints", callChecks),
  leaseTimeToLive: optionsOf("leaseTimeToLive", { ...callChecks, keys: flag }),
  watch: optionsOf("watch", {
    signal: signalCheck,
    startRevision: wholeNumber(1),
    previous: flag,
    filters,
    maxBufferedEvents: wholeNumber(1),
    onStatus: callback,
  }),
  mirror: optionsOf("mirror", { signal: signalCheck, maxBufferedChanges: wholeNumber(1), onStatus: callback }),
};
