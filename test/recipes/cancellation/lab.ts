import { Cancellation, type CancellationOptions } from "../../../recipes/index.ts";
import type { RegistryLab } from "../../support/registry-lab.ts";

export const cancellationEvents = ["cancelled", "status", "warning", "failed"];

/** A Cancellation that is closed with the rest of the lab. */
export function cancellationOf(lab: RegistryLab, prefix: string, options: CancellationOptions = {}): Cancellation {
  const cancellation = new Cancellation(prefix, { client: lab.etcd, ...options });
  lab.also(() => cancellation.close());
  return cancellation;
}
