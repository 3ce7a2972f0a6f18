interface SizedRange {
  readonly start: Uint8Array;
  readonly end?: Uint8Array | undefined;
}

/** What of an operation counts for the limits of a server. */
export type SizedOp =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "range" | "delete"; readonly range: SizedRange }
  | ({ readonly type: "txn" } & SizedTxn);

export interface SizedTxn {
  readonly compare?: readonly { readonly range: SizedRange; readonly operand: unknown }[] | undefined;
  readonly success?: readonly SizedOp[] | undefined;
  readonly failure?: readonly SizedOp[] | undefined;
}

/** What a part of a txn takes of the limits of a server. */
export interface PartSize {
  /** How many operations of the txn it is. @default 1 */
  readonly operations?: number | undefined;
  /** How many operations stand in it, if it is a txn itself. etcd counts those of the largest one on top. */
  readonly nested: number;
  readonly bytes: number;
}

/** Tags, lengths, numbers and a lease id around the keys and values of one operation or compare. */
const BYTES_AROUND = 48;

/**
 * A txn as part of another one: its operations as etcd counts them (checkTxnRequest in etcdserver/api/v3rpc/key.go),
 * its bytes roughly.
 */
export function nestedSize({ compare = [], success = [], failure = [] }: SizedTxn): PartSize {
  let nested = 0;
  let bytes = 0;
  for (const { range, operand } of compare) {
    bytes += BYTES_AROUND + rangeBytes(range) + (operand instanceof Uint8Array ? operand.length : 0);
  }
  for (const branch of [success, failure]) {
    for (const op of branch) {
      const size = opSize(op);
      nested = Math.max(nested, size.nested);
      bytes += size.bytes;
    }
  }
  return { nested: Math.max(compare.length, success.length, failure.length) + nested, bytes: BYTES_AROUND + bytes };
}

export function opSize(op: SizedOp): PartSize {
  switch (op.type) {
    case "put":
      return { nested: 0, bytes: BYTES_AROUND + op.key.length + op.value.length };
    case "range":
    case "delete":
      return { nested: 0, bytes: BYTES_AROUND + rangeBytes(op.range) };
    case "txn":
      return nestedSize(op);
    default:
      return op satisfies never;
  }
}

function rangeBytes({ start, end }: SizedRange): number {
  return start.length + (end?.length ?? 0);
}
