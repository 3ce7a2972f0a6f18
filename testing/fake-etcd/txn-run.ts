import type { TxnResponse } from "../../src/connection/codec/messages.ts";
import type { KeyValue } from "../../src/model/key-value.ts";
import type { Op, OpResult, PutOp, TxnOp } from "../../src/model/op.ts";
import { allHold } from "./compares.ts";
import type { KeyStore, Writer } from "./key-store.ts";
import { keyText, textRange } from "./key-text.ts";
import type { LeaseTable } from "./lease-table.ts";
import { readRange } from "./range-reader.ts";
import { refuse } from "./refusal.ts";

type Txn = Omit<TxnOp, "type">;

/** A txn whose compares have been decided: the branch of it, and of each txn in that branch. */
interface Chosen {
  readonly succeeded: boolean;
  readonly ops: readonly Op[];
  readonly nested: ReadonlyMap<Op, Chosen>;
}

/** Executes a txn as one step at one revision. @throws GrpcFailure; then nothing was changed */
export function runTxn(store: KeyStore, leases: LeaseTable, txn: Txn): TxnResponse {
  const chosen = choose(store, txn);
  check(store, leases, chosen);
  const responses = store.write((writer) => execute(store, writer, chosen));
  return { revision: store.revision, succeeded: chosen.succeeded, responses };
}

/** Also the compares of the txns within see the keys as they are before the first operation. */
function choose(store: KeyStore, { compare, success, failure }: Txn): Chosen {
  const succeeded = allHold(store, compare);
  const ops = succeeded ? success : failure;
  const nested = new Map<Op, Chosen>();
  for (const op of ops) if (op.type === "txn") nested.set(op, choose(store, op));
  return { succeeded, ops, nested };
}

/** As etcd does: first all puts, and then all ranges, each where it stands. @throws GrpcFailure */
function check(store: KeyStore, leases: LeaseTable, chosen: Chosen): void {
  const ops = [...executed(chosen)];
  for (const op of ops) {
    if (op.type !== "put") continue;
    checkKept(store, op);
    if (op.lease !== undefined && !leases.has(op.lease)) throw refuse("leaseNotFound");
  }
  for (const op of ops) if (op.type === "range" && op.revision) store.checkRevision(op.revision);
}

/** Also what is within. */
function* executed({ ops, nested }: Chosen): Generator<Op> {
  for (const op of ops) {
    const within = nested.get(op);
    if (within) yield* executed(within);
    else yield op;
  }
}

type Put = Omit<PutOp, "type">;

/** Only a key that is there can keep what it has. @throws GrpcFailure */
export function checkKept(store: KeyStore, { key, ignoreValue, ignoreLease }: Put): void {
  if ((ignoreValue || ignoreLease) && !store.get(keyText(key))) throw refuse("keyNotFound");
}

/** @returns the state before */
export function executePut(store: KeyStore, writer: Writer, put: Put): KeyValue | undefined {
  const { key, value, lease, ignoreValue, ignoreLease } = put;
  const before = store.get(keyText(key));
  return writer.put(keyText(key), (ignoreValue && before?.value) || value, ignoreLease ? before?.lease : lease);
}

function execute(store: KeyStore, writer: Writer, { ops, nested }: Chosen): OpResult[] {
  return ops.map((op): OpResult => {
    switch (op.type) {
      case "put": {
        const before = executePut(store, writer, op);
        return op.previous && before ? { type: "put", previous: before } : { type: "put" };
      }
      case "delete": {
        const deleted = writer.delete(textRange(op.range));
        return { type: "delete", deleted: deleted.length, previous: op.previous ? deleted : [] };
      }
      case "range":
        return readRange(store, op);
      case "txn": {
        const within = nested.get(op) as Chosen;
        return { type: "txn", succeeded: within.succeeded, responses: execute(store, writer, within) };
      }
      default:
        return op satisfies never;
    }
  });
}
