import {
  type CallOptions,
  type Compare,
  type EtcdClient,
  type Op,
  type TxnAnswer,
  type TxnOptions,
  txnOp,
} from "../../src/index.ts";
import { type OptionCheck, optionsOf } from "../../src/internal/index.ts";

/** What is in the lists is looked at where the txn is made. */
const list: OptionCheck = { allowed: "a list of compares or operations", holds: Array.isArray };
const checkRequest = optionsOf("txn", { compare: list, success: list, failure: list });

export type FencedRequest = TxnOptions | readonly Op[];

/** @throws InvalidOptionError */
export function toTxnOptions(request: FencedRequest): TxnOptions {
  if (isOps(request)) return { success: request };
  checkRequest(request ?? null);
  return request;
}

/**
 * Executes a txn if `fence` holds too. What the request compares stands in a txn within it: `succeeded` is about that.
 *
 * @returns undefined when the fence does not hold: nothing was written
 */
export async function fencedTxn(
  etcd: EtcdClient,
  fence: Compare,
  { compare = [], success = [], failure = [] }: TxnOptions,
  options?: CallOptions,
): Promise<TxnAnswer | undefined> {
  const nested = compare.length > 0;
  const { succeeded, revision, responses } = await etcd.txn(
    { compare: [fence], success: nested ? [txnOp({ compare, success, failure })] : success },
    options,
  );
  if (!succeeded) return undefined;
  const [answer] = responses;
  if (!nested || answer?.type !== "txn") return { succeeded, revision, responses };
  return { succeeded: answer.succeeded, revision, responses: answer.responses };
}

function isOps(request: FencedRequest): request is readonly Op[] {
  return Array.isArray(request);
}
