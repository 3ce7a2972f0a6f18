import { EtcdError } from "../../src/index.ts";

/** The key of a registration is not in etcd any more, although its lease may live: deleted by hand, or etcd was wiped. */
export class RegistrationLostError extends EtcdError {
  override readonly name = "RegistrationLostError";
  readonly code = "ETCD_REGISTRATION_LOST";
}
