import type { Compare, Op, OpResult } from "../../src/index.ts";
import type { KeyRange } from "../../src/model/key-range.ts";
import type { LeaseId } from "../../src/model/lease-id.ts";
import { type RevisionBounds, revisionBounds } from "../../src/model/op.ts";
import type { Seeded } from "./seeded.ts";

type Json = Record<string, unknown>;

/** Random messages: ours, and the same for proto-loader. */
export class RandomMessages {
  readonly #random: Seeded;
  readonly #namespace: Buffer;

  constructor(random: Seeded, namespace: Buffer) {
    this.#random = random;
    this.#namespace = namespace;
  }

  range() {
    const { range, json } = this.#keys();
    const flags = { serializable: this.#flag(), keysOnly: this.#flag(), countOnly: this.#flag() };
    const limit = this.#maybe(() => this.#integer());
    const revision = this.#maybe(() => this.#integer());
    const bounds = Object.fromEntries(
      revisionBounds.map((bound) => [bound, this.#maybe(() => this.#integer())]),
    ) as RevisionBounds;
    const [by, target] = this.#random.pick([
      ["key", "Key"],
      ["version", "Version"],
      ["createRevision", "Create"],
      ["modRevision", "Mod"],
      ["value", "Value"],
    ] as const);
    const [order, theirOrder] = this.#random.pick([
      ["ascend", "Ascend"],
      ["descend", "Descend"],
    ] as const);
    const sorted = this.#random.chance(0.3);
    return [
      { range, limit, revision, ...bounds, ...flags, ...(sorted && { sort: { target: by, order } }) },
      {
        ...json,
        limit,
        revision,
        min_mod_revision: bounds.minModRevision,
        max_mod_revision: bounds.maxModRevision,
        min_create_revision: bounds.minCreateRevision,
        max_create_revision: bounds.maxCreateRevision,
        serializable: flags.serializable,
        keys_only: flags.keysOnly,
        count_only: flags.countOnly,
        ...(sorted && { sort_target: target, sort_order: theirOrder }),
      },
    ] as const;
  }

  put() {
    const key = this.#bytes(1);
    const value = this.#bytes(0);
    const lease = this.#maybe(() => this.#lease());
    const [previous, ignoreValue, ignoreLease] = [this.#flag(), this.#flag(), this.#flag()];
    const kept = { ignore_value: ignoreValue, ignore_lease: ignoreLease };
    return [
      { key, value, lease: lease?.hex, previous, ignoreValue, ignoreLease },
      { key: this.#inside(key), value, lease: lease?.decimal, prev_kv: previous, ...kept },
    ] as const;
  }

  deleteRange() {
    const { range, json } = this.#keys();
    const previous = this.#flag();
    return [
      { range, previous },
      { ...json, prev_kv: previous },
    ] as const;
  }

  txn(depth: number): readonly [{ compare: Compare[]; success: Op[]; failure: Op[] }, Json] {
    const compare = this.#some(() => this.#compare());
    const success = this.#some(() => this.#op(depth));
    const failure = this.#some(() => this.#op(depth));
    return [
      {
        compare: compare.map(([ours]) => ours),
        success: success.map(([ours]) => ours),
        failure: failure.map(([ours]) => ours),
      },
      {
        compare: compare.map(([, json]) => json),
        success: success.map(([, json]) => json),
        failure: failure.map(([, json]) => json),
      },
    ];
  }

  watch() {
    if (this.#random.chance(0.1)) return ["progress", { progress_request: {} }] as const;
    if (this.#random.chance(0.3)) {
      const watchId = String(this.#integer());
      return [{ cancel: watchId }, { cancel_request: { watch_id: watchId } }] as const;
    }
    const { range, json } = this.#keys();
    const startRevision = this.#integer();
    const previous = this.#flag();
    const watchId = String(this.#integer());
    const filter = this.#maybe(() => this.#random.pick(["put", "delete"] as const));
    return [
      { create: { range, startRevision, previous, watchId, filters: filter && [filter] } },
      {
        create_request: {
          ...json,
          start_revision: startRevision,
          filters: filter && [filter === "put" ? "Noput" : "Nodelete"],
          progress_notify: true,
          fragment: true,
          prev_kv: previous,
          watch_id: watchId,
        },
      },
    ] as const;
  }

  rangeResponse(): [Json, Json] {
    const revision = this.#integer();
    const [json, result] = this.#rangeResult();
    return [
      { header: this.#header(revision), ...json },
      { revision, ...result },
    ];
  }

  putResponse(): [Json, Json] {
    const revision = this.#integer();
    const [json, result] = this.#putResult();
    return [
      { header: this.#header(revision), ...json },
      { revision, ...result },
    ];
  }

  deleteRangeResponse(): [Json, Json] {
    const revision = this.#integer();
    const [json, result] = this.#deleteResult();
    return [
      { header: this.#header(revision), ...json },
      { revision, ...result },
    ];
  }

  txnResponse(depth: number): [Json, Json] {
    const revision = this.#integer();
    const [json, result] = this.#txnResult(depth);
    return [
      { header: this.#header(revision), ...json },
      { revision, ...result },
    ];
  }

  watchResponse(): [Json, Json] {
    const headerRevision = this.#integer();
    const watchId = String(this.#random.pick([-1, 0, 7, 2 ** 40]));
    const compactRevision = this.#random.chance(0.3) ? this.#integer() : 0;
    const [created, canceled, fragment] = [this.#flag() ?? false, this.#flag() ?? false, this.#flag() ?? false];
    const cancelReason = this.#random.pick(["", "etcdserver: permission denied", "ü\n"]);
    const events = this.#some(() => {
      const kv = this.#keyValue();
      const previous = this.#maybe(() => this.#keyValue());
      const type = this.#random.pick(["put", "delete"] as const);
      return [
        { type: type === "put" ? "Put" : "Delete", kv: kv[0], prev_kv: previous?.[0] },
        { type, kv: kv[1], ...(previous && { previous: previous[1] }) },
      ];
    });
    return [
      {
        header: this.#header(headerRevision),
        watch_id: watchId,
        created,
        canceled,
        compact_revision: compactRevision,
        cancel_reason: cancelReason,
        fragment,
        events: events.map(([json]) => json),
      },
      {
        watchId,
        headerRevision,
        created,
        canceled,
        cancelReason,
        compactRevision,
        fragment,
        events: events.map(([, event]) => event),
      },
    ];
  }

  #op(depth: number): [Op, Json] {
    switch (this.#random.pick(depth > 0 ? ["range", "put", "delete", "txn"] : ["range", "put", "delete"])) {
      case "range": {
        const [ours, json] = this.range();
        return [{ type: "range", ...ours } as Op, { request_range: json }];
      }
      case "put": {
        const [ours, json] = this.put();
        return [{ type: "put", ...ours } as Op, { request_put: json }];
      }
      case "delete": {
        const [ours, json] = this.deleteRange();
        return [{ type: "delete", ...ours } as Op, { request_delete_range: json }];
      }
      default: {
        const [ours, json] = this.txn(depth - 1);
        return [{ type: "txn", ...ours }, { request_txn: json }];
      }
    }
  }

  #compare(): [Compare, Json] {
    const { range, json } = this.#keys();
    const [result, theirResult] = this.#random.pick([
      ["equal", "Equal"],
      ["notEqual", "NotEqual"],
      ["greater", "Greater"],
      ["less", "Less"],
    ] as const);
    const [target, theirTarget, field] = this.#random.pick([
      ["version", "Version", "version"],
      ["createRevision", "Create", "create_revision"],
      ["modRevision", "Mod", "mod_revision"],
      ["value", "Value", "value"],
      ["lease", "Lease", "lease"],
    ] as const);
    const lease = this.#maybe(() => this.#lease());
    const operands = { lease: lease?.hex, value: this.#bytes(0) };
    const operand = target === "lease" || target === "value" ? operands[target] : this.#integer();
    return [
      { range, result, target, operand } as Compare,
      {
        ...json,
        result: theirResult,
        target: theirTarget,
        [field]: target === "lease" ? (lease?.decimal ?? "0") : operand,
      },
    ];
  }

  #keys(): { range: KeyRange; json: Json } {
    const start = this.#bytes(1);
    const key = this.#inside(start);
    const last = Buffer.from([0]);
    switch (this.#random.pick(["one", "range", "to the last"])) {
      case "one":
        return { range: { start }, json: { key } };
      case "range": {
        const end = this.#bytes(1);
        const isLast = end.length === 1 && end[0] === 0;
        return { range: { start, end }, json: { key, range_end: isLast ? this.#afterAll() : this.#inside(end) } };
      }
      default:
        return { range: { start, end: last }, json: { key, range_end: this.#afterAll() } };
    }
  }

  /** After the last key of the namespace; a single zero byte when there is none. */
  #afterAll(): Buffer {
    if (this.#namespace.length === 0) return Buffer.from([0]);
    const end = Buffer.from(this.#namespace);
    end[end.length - 1] = (end.at(-1) as number) + 1;
    return end;
  }

  #inside(key: Uint8Array): Buffer {
    return Buffer.concat([this.#namespace, key]);
  }

  #rangeResult(): [Json, Json] {
    const kvs = this.#some(() => this.#keyValue());
    const more = this.#flag() ?? false;
    const count = this.#integer();
    return [
      { kvs: kvs.map(([json]) => json), more, count },
      { kvs: kvs.map(([, kv]) => kv), count, more },
    ];
  }

  #putResult(): [Json, Json] {
    const previous = this.#maybe(() => this.#keyValue());
    return [{ prev_kv: previous?.[0] }, previous ? { previous: previous[1] } : {}];
  }

  #deleteResult(): [Json, Json] {
    const previous = this.#some(() => this.#keyValue());
    const deleted = this.#integer();
    return [
      { deleted, prev_kvs: previous.map(([json]) => json) },
      { deleted, previous: previous.map(([, kv]) => kv) },
    ];
  }

  #txnResult(depth: number): [Json, Json] {
    const succeeded = this.#flag() ?? false;
    const responses = this.#some((): [Json, Json] => {
      const type: OpResult["type"] = this.#random.pick(
        depth > 0 ? ["range", "put", "delete", "txn"] : ["range", "put"],
      );
      // The parts of a txn have a header without anything in it.
      const header = {};
      if (type === "range") {
        const [json, result] = this.#rangeResult();
        return [{ response_range: { header, ...json } }, { type, ...result }];
      }
      if (type === "put") {
        const [json, result] = this.#putResult();
        return [{ response_put: { header, ...json } }, { type, ...result }];
      }
      if (type === "delete") {
        const [json, result] = this.#deleteResult();
        return [{ response_delete_range: { header, ...json } }, { type, ...result }];
      }
      const [json, result] = this.#txnResult(depth - 1);
      return [{ response_txn: { header, ...json } }, { type, ...result }];
    });
    return [
      { succeeded, responses: responses.map(([json]) => json) },
      { succeeded, responses: responses.map(([, result]) => result) },
    ];
  }

  #keyValue(): [Json, Json] {
    const key = this.#bytes(1);
    const value = this.#bytes(0);
    const revisions = [this.#integer(), this.#integer(), this.#integer()] as const;
    const lease = this.#maybe(() => this.#lease());
    const [createRevision, modRevision, version] = revisions;
    return [
      {
        key: this.#inside(key),
        value,
        create_revision: createRevision,
        mod_revision: modRevision,
        version,
        lease: lease?.decimal ?? "0",
      },
      {
        key: key.toString("utf8"),
        keyBytes: key.toString("hex"),
        value: value.toString("hex"),
        text: value.toString("utf8"),
        createRevision,
        modRevision,
        version,
        lease: lease?.hex,
      },
    ];
  }

  #header(revision: number): Json {
    return {
      cluster_id: "14841639068965178418",
      member_id: "10276657743932975437",
      revision,
      raft_term: this.#integer(),
    };
  }

  #bytes(least: number): Buffer {
    const length = this.#random.between(least, this.#random.chance(0.05) ? 300 : 6);
    const letters = this.#random.chance(0.3) ? 255 : 0x7e;
    return Buffer.from(Array.from({ length }, () => this.#random.between(letters === 255 ? 0 : 0x20, letters)));
  }

  #integer(): number {
    return this.#random.pick([
      0,
      1,
      127,
      128,
      300,
      2 ** 21,
      2 ** 28,
      2 ** 31,
      2 ** 32 + 5,
      2 ** 35,
      2 ** 49,
      2 ** 53 - 1,
    ]);
  }

  #lease(): { hex: LeaseId; decimal: string } {
    const id = this.#random.pick([1n, 2n ** 31n, 2n ** 32n, 7587862094673632515n, 2n ** 63n - 1n]);
    return { hex: id.toString(16) as LeaseId, decimal: id.toString() };
  }

  #flag(): boolean | undefined {
    return this.#maybe(() => this.#random.chance(0.5));
  }

  #maybe<T>(make: () => T): T | undefined {
    return this.#random.chance(0.5) ? make() : undefined;
  }

  #some<T>(make: () => T): T[] {
    return Array.from({ length: this.#random.between(0, 3) }, make);
  }
}
