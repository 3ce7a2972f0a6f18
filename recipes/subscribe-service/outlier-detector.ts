import { type Clock, Heap, type HeapEntry, type Timer } from "../../src/internal/index.ts";

/** When a server is no longer chosen, by what comes of the calls to it. All may be left out. */
export interface OutlierDetectionOptions {
  /** So many failures in a row eject a server; at least 1. @default 5 */
  consecutiveFailures?: number | undefined;
  /** When this part of its calls within `windowMs` fails, or more, it is ejected; above 0, at most 1. @default 0.5 */
  failureRate?: number | undefined;
  /** Fewer calls than this within `windowMs` say nothing of a rate; at least 1. @default 20 */
  minimumCalls?: number | undefined;
  /** How far back the rate looks, in milliseconds; above 0. @default 10000 */
  windowMs?: number | undefined;
  /**
   * How long the first ejection lasts, in milliseconds; each one in a row lasts twice as long. Above 0.
   *
   * @default 10000
   */
  baseEjectionMs?: number | undefined;
  /**
   * No ejection lasts longer, in milliseconds. A server that stayed in for as long begins anew with `baseEjectionMs`.
   *
   * @default 300000
   */
  maxEjectionMs?: number | undefined;
  /** At most this part of the servers, rounded down, is ejected at a time; from 0 to 1. @default 0.5 */
  maxEjectedRatio?: number | undefined;
}

export type ResolvedOutlierDetection = { readonly [Name in keyof OutlierDetectionOptions]-?: number };

/** Why a server is not chosen for a while. */
export interface Ejection {
  readonly reason: "consecutive failures" | "failure rate";
  readonly forMs: number;
  /** The how manieth in a row this is, from 1. */
  readonly times: number;
  /** What the last call failed with. */
  readonly error: unknown;
}

export interface OutlierDetectorParts {
  readonly options: ResolvedOutlierDetection;
  readonly clock: Clock;
  /** How many servers there are to choose from, the ejected ones included. */
  population(): number;
  onEject(key: string, ejection: Ejection): void;
  onReadmit(key: string): void;
}

interface Counts {
  calls: number;
  failures: number;
}

interface ServerRecord {
  failuresInARow: number;
  /** The two halves of the window: counting by halves needs no list of calls. */
  now: Counts;
  before: Counts;
  halfSinceMs: number;
  ejectedUntilMs: number | undefined;
  /** How many ejections in a row. */
  times: number;
  readmittedMs: number;
  /** It came back and has not answered yet: the next failure ejects it again. */
  onProbation: boolean;
}

/**
 * Finds which servers fail, as gRPC's A50 and Envoy's outlier detection do: by failures in a row, and by the rate of
 * failures. An ejected server comes back after a while, and goes again at its first failure. Only servers that
 * something was reported of are remembered.
 */
export class OutlierDetector {
  readonly #parts: OutlierDetectorParts;
  readonly #records = new Map<string, ServerRecord>();
  /** The ejected ones, by when they come back. */
  readonly #returns = new Heap<string>();
  readonly #ejected = new Map<string, HeapEntry<string>>();
  #timer: Timer | undefined;

  constructor(parts: OutlierDetectorParts) {
    this.#parts = parts;
  }

  /** What came of a call: `error` is undefined when it did not fail. */
  report(key: string, error: unknown): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const record = this.#records.get(key) ?? newRecord(nowMs);
    this.#records.set(key, record);
    this.#turnWindow(record, nowMs);
    record.now.calls++;
    if (error === undefined) {
      record.failuresInARow = 0;
      if (record.ejectedUntilMs === undefined) record.onProbation = false;
      return;
    }
    record.now.failures++;
    record.failuresInARow++;
    const reason = record.ejectedUntilMs === undefined ? this.#reasonToEject(record) : undefined;
    if (reason && this.#mayEjectOneMore()) this.#eject(key, record, reason, error, nowMs);
  }

  /** It left, or another one has its key now. */
  forget(key: string): void {
    this.#records.delete(key);
    const entry = this.#ejected.get(key);
    if (!entry) return;
    this.#ejected.delete(key);
    this.#returns.remove(entry);
  }

  close(): void {
    this.#timer?.cancel();
    this.#records.clear();
    this.#ejected.clear();
    this.#returns.clear();
  }

  #turnWindow(record: ServerRecord, nowMs: number): void {
    const halfMs = this.#parts.options.windowMs / 2;
    const ageMs = nowMs - record.halfSinceMs;
    if (ageMs < halfMs) return;
    record.before = ageMs < 2 * halfMs ? record.now : { calls: 0, failures: 0 };
    record.now = { calls: 0, failures: 0 };
    record.halfSinceMs = nowMs;
  }

  #reasonToEject({ failuresInARow, onProbation, now, before }: ServerRecord): Ejection["reason"] | undefined {
    const { consecutiveFailures, failureRate, minimumCalls } = this.#parts.options;
    if (onProbation || failuresInARow >= consecutiveFailures) return "consecutive failures";
    const calls = now.calls + before.calls;
    const rate = (now.failures + before.failures) / calls;
    return calls >= minimumCalls && rate >= failureRate ? "failure rate" : undefined;
  }

  #mayEjectOneMore(): boolean {
    // Not by a product, which 0.29 times 100 shows to be less than 29.
    return (this.#ejected.size + 1) / this.#parts.population() <= this.#parts.options.maxEjectedRatio;
  }

  #eject(key: string, record: ServerRecord, reason: Ejection["reason"], error: unknown, nowMs: number): void {
    const { baseEjectionMs, maxEjectionMs } = this.#parts.options;
    if (nowMs - record.readmittedMs >= maxEjectionMs) record.times = 0;
    record.times++;
    const forMs = Math.min(maxEjectionMs, baseEjectionMs * 2 ** (record.times - 1));
    record.ejectedUntilMs = nowMs + forMs;
    this.#ejected.set(key, this.#returns.add(key, record.ejectedUntilMs));
    this.#setTimer(nowMs);
    this.#parts.onEject(key, { reason, forMs, times: record.times, error });
  }

  #readmitDue(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const due: string[] = [];
    for (let { first } = this.#returns; first && first.key <= nowMs; { first } = this.#returns) {
      this.#returns.remove(first);
      this.#ejected.delete(first.value);
      due.push(first.value);
    }
    for (const key of due) {
      const record = this.#records.get(key);
      // One that came back before it may have caused this one to go.
      if (!record || this.#ejected.has(key)) continue;
      const { times } = record;
      this.#records.set(key, { ...newRecord(nowMs), times, readmittedMs: nowMs, onProbation: true });
      this.#parts.onReadmit(key);
    }
    this.#setTimer(nowMs);
  }

  /** For the first one that comes back. */
  #setTimer(nowMs: number): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#returns.size === 0) return;
    this.#timer = this.#parts.clock.timer(this.#returns.firstKey - nowMs, () => this.#readmitDue()).unref();
  }
}

function newRecord(nowMs: number): ServerRecord {
  return {
    failuresInARow: 0,
    now: { calls: 0, failures: 0 },
    before: { calls: 0, failures: 0 },
    halfSinceMs: nowMs,
    ejectedUntilMs: undefined,
    times: 0,
    readmittedMs: Number.NEGATIVE_INFINITY,
    onProbation: false,
  };
}
