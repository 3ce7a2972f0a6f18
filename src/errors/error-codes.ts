/**
 * Every code that an error of this package can carry. Stable: code may branch on them,
 * `error.code === "ETCD_COMPACTED"`, while messages are for people and may change.
 */
export const errorCodes = [
  "ETCD_UNAVAILABLE",
  "ETCD_TIMEOUT",
  "ETCD_COMPACTED",
  "ETCD_FUTURE_REVISION",
  "ETCD_HISTORY_LOST",
  "ETCD_WATCH_OVERFLOW",
  "ETCD_PERMISSION_DENIED",
  "ETCD_UNAUTHENTICATED",
  "ETCD_LEASE_NOT_FOUND",
  "ETCD_LEASE_LOST",
  "ETCD_CLOSED",
  "ETCD_INVALID_OPTION",
  "ETCD_REQUEST_REFUSED",
  "ETCD_EXHAUSTED",
  "ETCD_PROTOCOL",
  "ETCD_NO_SERVERS",
  "ETCD_CONFLICT",
  "ETCD_REGISTRATION_LOST",
  "ETCD_INVALID_VALUE",
  "ETCD_LISTENER_FAILED",
  "ETCD_MASS_REMOVAL",
  "ETCD_FENCED_OUT",
  "ETCD_ALREADY_DECIDED",
  "ETCD_NOT_REQUESTED",
  "ETCD_CANCELLED",
  "ETCD_JOB_LOST",
] as const;

export type EtcdErrorCode = (typeof errorCodes)[number];
