import { type CallOptions, type EtcdClient, type KeyValue, prefix, rangeOp } from "../../src/index.ts";
import { Admission, endsRetries, log, onAbort, runtimeOf } from "../../src/internal/index.ts";
import { retry, WarnOnce } from "../retries/index.ts";
import { Candidacy } from "./candidacy.ts";

const debug = log("candidacy");

const LONGEST_PAUSE_MS = 5_000;

export interface CandidacyLineParts {
  readonly etcd: EtcdClient;
  readonly name: string;
  readonly ttlSeconds: number;
  /** @default a third of the TTL */
  readonly renewEverySeconds?: number;
  /** Called with what was retried. */
  onWarning(error: Error): void;
}

/** What several campaigns of one caller have in common. Each campaign notes here what it has come to. */
export interface Standing {
  /** Whether one of them got in line, also one that was aborted: what etcd refuses later is waited out. */
  wasInLine: boolean;
}

export interface CampaignOptions {
  /** How long the caller still waits: the pauses between attempts leave time for more of them. */
  readonly leftMs?: (() => number) | undefined;
  /** @default the caller has no other campaign */
  readonly standing?: Standing | undefined;
}

/**
 * All who want what one name stands for: those in line, and getting in line and out of it.
 *
 * It grants leases itself, and not by a line of `recipes/leases`: each candidacy has one of its own (GUARANTEES 18),
 * whose loss ends the candidacy for good.
 */
export class CandidacyLine {
  readonly #parts: CandidacyLineParts;
  readonly #leaving = new Set<Promise<void>>();
  readonly #warnings: WarnOnce;

  constructor(parts: CandidacyLineParts) {
    this.#parts = parts;
    this.#warnings = new WarnOnce((error) => {
      debug("%s: %s", parts.name, error.message);
      parts.onWarning(error);
    });
  }

  /** Who holds it. */
  async first(options?: CallOptions): Promise<KeyValue | undefined> {
    const { etcd, name } = this.#parts;
    const sort = { target: "createRevision", order: "ascend" } as const;
    const { responses } = await etcd.txn({ success: [rangeOp(prefix(`${name}/`), { sort, limit: 1 })] }, options);
    return responses[0]?.type === "range" ? responses[0].kvs[0] : undefined;
  }

  /** All in line, the first one first. */
  async all(options?: CallOptions): Promise<KeyValue[]> {
    const { etcd, name } = this.#parts;
    const { kvs } = await etcd.range(prefix(`${name}/`), options);
    return [...kvs].sort((a, b) => a.createRevision - b.createRevision);
  }

  /**
   * Gets in line and waits until none is ahead. A lost lease ends a candidacy for good, and another one begins, at the
   * end of the line. What fails emits a warning and is retried for ever; after refusals, in pauses that grow to 30 s.
   *
   * @throws `signal.reason`; what etcd refuses before it was in line for the first time; ClientClosedError
   */
  async campaign(
    value: string,
    signal: AbortSignal,
    { leftMs, standing = { wasInLine: false } }: CampaignOptions = {},
  ): Promise<Candidacy> {
    const maxMs = Math.min(LONGEST_PAUSE_MS, this.#parts.ttlSeconds * 500);
    let candidacy: Candidacy | undefined;
    const note = () => {
      standing.wasInLine ||= candidacy?.isInLine === true;
    };
    const release = onAbort(signal, () => candidacy?.end(signal.reason));
    const attempt = async () => {
      candidacy ??= await this.#enter(value, signal);
      // Ended in the moment in which it could not hear of it.
      signal.throwIfAborted();
      await candidacy.untilFirst();
      signal.throwIfAborted();
      return candidacy;
    };
    try {
      const first = await retry(attempt, {
        runtime: runtimeOf(this.#parts.etcd),
        signal,
        backoff: { initialMs: 50, maxMs },
        leftMs,
        ends: (error) => {
          note();
          return endsRetries(error, standing.wasInLine);
        },
        onWarning: (error) => {
          this.#warnings.warn(error);
          if (!candidacy?.signal.aborted) return;
          void this.leave(candidacy);
          candidacy = undefined;
        },
      });
      standing.wasInLine = true;
      candidacy = undefined;
      return first;
    } finally {
      release();
      note();
      if (candidacy) void this.leave(candidacy);
    }
  }

  /**
   * Gets in line if none is there, and out again if another was faster.
   *
   * @throws `signal.reason`; EtcdError
   */
  async attempt(value: string, signal: AbortSignal): Promise<Candidacy | undefined> {
    if (await this.first({ signal })) return undefined;
    const candidacy = await this.#enter(value, signal);
    // At once if it is aborted by now.
    const release = onAbort(signal, () => candidacy.end(signal.reason));
    let isFirst = false;
    try {
      isFirst = await candidacy.isFirst();
      signal.throwIfAborted();
      return isFirst ? candidacy : undefined;
    } finally {
      release();
      if (!isFirst || signal.aborted) void this.leave(candidacy);
    }
  }

  /** Takes a candidacy out of the line. Bounded, and never fails: it need not be awaited. */
  leave(candidacy: Candidacy): Promise<void> {
    const leaving = candidacy.leave().finally(() => this.#leaving.delete(leaving));
    this.#leaving.add(leaving);
    return leaving;
  }

  /** Resolves when all that was left is out of the line, as far as etcd answers. Bounded, and never fails. */
  async vacated(): Promise<void> {
    await Promise.all(this.#leaving);
  }

  async #enter(value: string, signal: AbortSignal): Promise<Candidacy> {
    const { etcd, name, ttlSeconds, renewEverySeconds } = this.#parts;
    const grant = () => etcd.grantLease(ttlSeconds, { renewEverySeconds, signal });
    const lease = await Admission.of(etcd).run(grant, { signal });
    return new Candidacy(etcd, name, value, lease, this.#warnings);
  }
}
