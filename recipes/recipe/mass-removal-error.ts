import { EtcdError } from "../../src/index.ts";

/** So much is missing at once that it looks like an accident; it is held back. */
export class MassRemovalError extends EtcdError {
  override readonly name = "MassRemovalError";
  readonly code = "ETCD_MASS_REMOVAL";
}
