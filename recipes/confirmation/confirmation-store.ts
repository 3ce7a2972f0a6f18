import {
  type CallOptions,
  compareModRevision,
  deleteOp,
  type EtcdClient,
  getOp,
  keyExists,
  keyMissing,
  prefix as prefixRange,
  putOp,
} from "../../src/index.ts";
import { type Runtime, runtimeOf } from "../../src/internal/index.ts";
import { DetachedLeases } from "../leases/index.ts";
import { type ConfirmationPart, type ConfirmationState, keyOf, readKey } from "./confirmation-keys.ts";
import type { DecisionRecord, RequestRecord } from "./records.ts";

/**
 * What etcd holds of confirmations, and the only two ways in which that changes: a request is opened, and it is
 * decided.
 */
export class ConfirmationStore {
  readonly prefix: string;
  /** That of its client. */
  readonly runtime: Runtime;
  readonly etcd: EtcdClient;
  readonly #leases: DetachedLeases;
  readonly #retainSeconds: number;

  constructor(etcd: EtcdClient, prefix: string, retainSeconds: number) {
    this.prefix = prefix;
    this.runtime = runtimeOf(etcd);
    this.etcd = etcd;
    this.#leases = DetachedLeases.of(etcd);
    this.#retainSeconds = retainSeconds;
  }

  /** A confirmation as it is now: one linearizable read of its three keys. */
  async read(id: string, options: CallOptions): Promise<ConfirmationState> {
    const names = ["request", "pending", "decision"] as const;
    const { responses } = await this.etcd.txn({ success: names.map((part) => getOp(this.#key(id, part))) }, options);
    const kvs = responses.map((response) => (response.type === "range" ? response.kvs[0] : undefined));
    return { request: kvs[0], pending: kvs[1], decision: kvs[2] };
  }

  /** All confirmations as they are now, by id. */
  async readAll(options: CallOptions): Promise<ReadonlyMap<string, ConfirmationState>> {
    const { kvs } = await this.etcd.range(prefixRange(this.prefix), options);
    const states = new Map<string, ConfirmationState>();
    for (const kv of kvs) {
      const place = readKey(this.prefix, kv.key);
      if (place) states.set(place.id, { ...states.get(place.id), [place.part]: kv });
    }
    return states;
  }

  /**
   * Opens a request that runs for so many seconds, unless etcd knows of it.
   *
   * @param record made when it is sent, so that a lease that took its time shortens nothing
   * @returns what was written; undefined when the request or its decision is there already
   */
  open(
    id: string,
    seconds: number,
    record: () => RequestRecord,
    options: CallOptions,
  ): Promise<RequestRecord | undefined> {
    return this.#leases.use(seconds + this.#retainSeconds, options, (kept) =>
      this.#leases.use(seconds, options, async (timeOut) => {
        const written = record();
        const { succeeded } = await this.etcd.txn(
          {
            compare: [keyMissing(this.#key(id, "request")), keyMissing(this.#key(id, "decision"))],
            success: [
              putOp(this.#key(id, "request"), JSON.stringify(written), { lease: kept }),
              putOp(this.#key(id, "pending"), "", { lease: timeOut }),
            ],
          },
          options,
        );
        return succeeded ? written : undefined;
      }),
    );
  }

  /**
   * Decides a confirmation that is not decided. The request goes onto the lease of the decision, so they end together:
   * one without the other would look like a time-out.
   *
   * @param known as it was read; the request must still be that one
   * @param pending what must be true of the pending key
   * @returns false when it was no longer so, and nothing was written
   */
  decide(
    id: string,
    { request }: ConfirmationState,
    decision: DecisionRecord,
    pending: "there" | "gone" | "either",
    options: CallOptions,
  ): Promise<boolean> {
    const requestKey = this.#key(id, "request");
    const pendingKey = this.#key(id, "pending");
    const guards = { there: [keyExists(pendingKey)], gone: [keyMissing(pendingKey)], either: [] };
    return this.#leases.use(this.#retainSeconds, options, async (lease) => {
      const { succeeded } = await this.etcd.txn(
        {
          compare: [
            keyMissing(this.#key(id, "decision")),
            compareModRevision(requestKey, "equal", request?.modRevision ?? 0),
            ...guards[pending],
          ],
          success: [
            putOp(this.#key(id, "decision"), JSON.stringify(decision), { lease }),
            ...(request ? [putOp(requestKey, request.value, { lease })] : []),
            deleteOp(pendingKey),
          ],
        },
        options,
      );
      return succeeded;
    });
  }

  #key(id: string, part: ConfirmationPart): string {
    return keyOf(this.prefix, id, part);
  }
}
