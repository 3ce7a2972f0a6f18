import { Confirmation, type ConfirmationOptions, type ConfirmationResult } from "../../../recipes/index.ts";
import type { EtcdClientOptions } from "../../../src/index.ts";
import { FaultProxy } from "../../../testing/index.ts";
import type { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

export const confirmationEvents = ["requested", "decided", "status", "warning", "failed"];

/** A Confirmation that is closed with the rest of the lab. */
export function confirmationOf(lab: RegistryLab, prefix: string, options: ConfirmationOptions = {}): Confirmation {
  const confirmation = new Confirmation(prefix, { client: lab.etcd, ...options });
  lab.also(() => confirmation.close());
  return confirmation;
}

/** One behind a link of its own that can be broken. */
export async function confirmationBehindLink(lab: RegistryLab, prefix: string, options: EtcdClientOptions = {}) {
  const proxy = await FaultProxy.start(lab.endpoint);
  lab.also(() => proxy.close());
  const confirmation = confirmationOf(lab, prefix, { client: lab.client({ ...options, endpoints: proxy.endpoint }) });
  await confirmation.ready;
  return { confirmation, proxy };
}

/** A request that runs: it stands in etcd. What it ends with is looked at later, or never. */
export async function requested(
  lab: RegistryLab,
  confirmation: Confirmation,
  id: string,
  timeoutSeconds: number,
  signal?: AbortSignal,
): Promise<{ readonly result: Promise<ConfirmationResult> }> {
  const result = confirmation.request(id, { timeoutSeconds, signal });
  result.catch(() => {});
  await until(() => lab.etcd.get(`${confirmation.prefix}${id}/pending`));
  // In an object: a promise that is returned would be waited for.
  return { result };
}
