import { CompactedError } from "../errors/compacted-error.ts";
import type { EtcdError } from "../errors/etcd-error.ts";
import { FutureRevisionError } from "../errors/future-revision-error.ts";
import { LeaseNotFoundError } from "../errors/lease-not-found-error.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { RequestRefusedError } from "../errors/request-refused-error.ts";
import type { ServerLimits } from "./server-limits.ts";
import type { PartSize } from "./txn-size.ts";

export interface SendInPartsParts<Item> {
  readonly limits: ServerLimits;
  sizeOf(item: Item): PartSize;
  /** Sends these in one request, and settles each of them with what comes of it. */
  send(items: readonly Item[]): Promise<void>;
  /** The request failed for all of these; one alone is to blame itself. What this throws ends all of it. */
  failed(items: readonly Item[], error: unknown): Promise<void> | void;
  /** Whether a half may do better. @default isOfOne */
  splits?(error: unknown): boolean;
  /** One part after the other, in order. @default false: at the same time */
  readonly inOrder?: boolean | undefined;
}

/**
 * Sends items in one request. When etcd refuses it, nothing of it was done. If it was too much, each half is sent by
 * itself, until it fits, and the limits remember that. Otherwise one of them is to blame, or several: each is sent
 * alone at once, or, in order, each half until the one to blame stands alone.
 */
export async function sendInParts<Item>(items: readonly Item[], parts: SendInPartsParts<Item>): Promise<void> {
  try {
    await parts.send(items);
  } catch (error) {
    if (items.length <= 1 || !(parts.splits ?? isOfOne)(error)) {
      await parts.failed(items, error);
      return;
    }
    parts.limits.refused(items.map(parts.sizeOf), error);
    const tooMuch = error instanceof RequestRefusedError && error.beyond !== undefined;
    if (!tooMuch && !parts.inOrder) {
      await Promise.all(items.map((item) => sendInParts([item], parts)));
      return;
    }
    const middle = Math.ceil(items.length / 2);
    const first = sendInParts(items.slice(0, middle), parts);
    if (parts.inOrder) await first;
    await Promise.all([first, sendInParts(items.slice(middle), parts)]);
  }
}

/** Whether etcd refused a request without having done anything of it, maybe because of one part of it. */
export function isOfOne(error: unknown): error is EtcdError {
  const refused =
    error instanceof RequestRefusedError ||
    error instanceof PermissionDeniedError ||
    error instanceof LeaseNotFoundError ||
    error instanceof CompactedError ||
    error instanceof FutureRevisionError;
  return refused && !error.outcomeUnknown;
}
