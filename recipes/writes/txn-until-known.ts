import { type EtcdClient, LeaseNotFoundError, type Op, type TxnAnswer, type TxnOptions } from "../../src/index.ts";
import { endsRetries, isDenied, isOutOfSpace, type Runtime } from "../../src/internal/index.ts";
import { repeatUntilKnown } from "./repeat-until-known.ts";

/** An attempt takes no longer, so that another one can follow in time. */
const ATTEMPT_MS = 2_000;

export interface TxnUntilKnownOptions {
  readonly etcd: Pick<EtcdClient, "txn">;
  readonly runtime: Runtime;
  /** How long it may go on; asked before each attempt. */
  readonly leftMs: () => number;
  readonly signal?: AbortSignal | undefined;
  /** Lets it travel with others, see `EtcdClient.txn()`. @default false */
  readonly batch?: boolean | undefined;
  /**
   * Waits until a missing role, user or password is corrected on the server, too: there is no caller to reject.
   *
   * @default false
   */
  readonly waitsOutDenial?: boolean | undefined;
  /** Whether a full etcd ends it, which refuses again what it may have stored. @default false */
  readonly endsWhenFull?: boolean | undefined;
  /** Called with each failure that is followed by another attempt. */
  readonly onWarning?: ((error: Error) => void) | undefined;
}

export interface UnsureTxn extends TxnOptions {
  /**
   * What is read when the compares fail, but not before an earlier attempt may have been executed: instead of
   * `failure`. Made when it is needed.
   */
  readonly ifUnsure?: (() => readonly Op[]) | undefined;
}

export interface KnownTxnAnswer extends TxnAnswer {
  /** An earlier attempt may have been executed: what is found now may be its work. */
  readonly unsure: boolean;
}

/**
 * Repeats a txn until etcd answers or there is no time left. The txn must be guarded so that executing it twice is
 * harmless: when its compares fail and the answer is `unsure`, look whether an earlier attempt did it.
 *
 * @throws LeaseNotFoundError; what etcd refuses; ClientClosedError; EtcdTimeoutError at the end of the time; each with
 *   `outcomeUnknown` if any attempt may have been executed; `signal.reason`
 */
export function txnUntilKnown(
  { ifUnsure, ...request }: UnsureTxn,
  {
    etcd,
    runtime,
    leftMs,
    signal,
    batch,
    waitsOutDenial = false,
    endsWhenFull = false,
    onWarning,
  }: TxnUntilKnownOptions,
): Promise<KnownTxnAnswer> {
  return repeatUntilKnown(
    async ({ leftMs: left, unsure }) => {
      const timeoutMs = Math.min(ATTEMPT_MS, left);
      const sent = unsure && ifUnsure ? { ...request, failure: ifUnsure() } : request;
      return { ...(await etcd.txn(sent, { signal, timeoutMs, batch })), unsure };
    },
    {
      what: "the txn",
      runtime,
      leftMs,
      signal,
      backoff: { initialMs: 50, maxMs: 1_000 },
      ends: (error) =>
        error instanceof LeaseNotFoundError ||
        (endsWhenFull && isOutOfSpace(error)) ||
        endsRetries(error, waitsOutDenial && isDenied(error)),
      onWarning,
    },
  );
}
