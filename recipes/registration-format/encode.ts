import { DEFAULT_WEIGHT, type Registration, type RegistrationFormat, reservedNames } from "./registration.ts";

/** As it is put into etcd. The `plain` format carries the address and nothing else. */
export function encodeRegistration(format: RegistrationFormat, registration: Registration): string {
  const { address, weight, draining, metadata } = registration;
  if (format === "plain") return address;
  const reserved = {
    ...(weight !== DEFAULT_WEIGHT && { [reservedNames.weight]: weight }),
    ...(draining && { [reservedNames.draining]: true }),
  };
  const named = metadata === undefined || metadata === null ? reserved : { ...(metadata as object), ...reserved };
  // Go writes a missing Metadata as null.
  const written = metadata === undefined && Object.keys(named).length === 0 ? null : named;
  return JSON.stringify({ Op: 0, Addr: address, Metadata: written });
}
