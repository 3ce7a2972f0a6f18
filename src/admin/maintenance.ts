import type { AlarmType, ClusterAlarm, KeyHash, MemberStatus, SnapshotPart } from "../connection/index.ts";
import { callback, optionsOf, wholeNumber } from "../errors/check-options.ts";
import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { withUnknownOutcome } from "../errors/of-call.ts";
import { shown } from "../errors/shown.ts";
import { onAbort } from "../internal/abort.ts";
import { showAs } from "../internal/show-as.ts";
import { timed } from "../internal/timed.ts";
import { type CallOptions, callChecks, callOptionsOf } from "../model/call-options.ts";
import { AdminCalls, type AdminParts } from "./admin-calls.ts";
import { checkMemberId, isMemberId } from "./admin-checks.ts";
import { endpointCheck, endpointOf, type MemberCallOptions } from "./endpoint-of.ts";
import { makeLeader } from "./make-leader.ts";
import { type SavedSnapshot, SnapshotFile, type SnapshotProgress } from "./snapshot-file.ts";

/** What one member of the cluster says of itself. */
export interface EtcdStatus extends MemberStatus {
  /** The endpoint that was asked, if it was chosen by the caller. */
  readonly endpoint: string | undefined;
}

export interface StatusOptions extends MemberCallOptions {}

export interface DisarmOptions extends CallOptions {
  /** Only those of this member, by its id. @default all */
  memberId?: string | undefined;
  /** Only those of this kind. @default all */
  alarm?: AlarmType | undefined;
}

/** Of calls that a member may work at for minutes. */
export interface SlowCallOptions extends MemberCallOptions {
  /**
   * The call fails after this many milliseconds: above 0, below 2^31, or Infinity.
   *
   * @default as long as it takes, once the member was reached within the client's requestTimeoutMs. One that dies, or
   *   freezes, is noticed within 4 s; what it took until then is not counted
   */
  timeoutMs?: number | undefined;
}

export interface HashKvOptions extends SlowCallOptions {
  /**
   * Up to which the keys count, at least 1. The hashes of members compare at one revision only.
   *
   * @default the member's newest
   */
  revision?: number | undefined;
}

export interface SnapshotOptions extends SlowCallOptions {
  /** Called after each part that was written. What it throws ends the snapshot. */
  onProgress?: ((progress: SnapshotProgress) => void) | undefined;
}

const memberChecks = { ...callChecks, endpoint: endpointCheck };
const alarms = ["nospace", "corrupt"] as const satisfies readonly AlarmType[];
const downgrades = ["validate", "enable", "cancel"] as const;

const checkOf = {
  status: optionsOf("status", memberChecks),
  alarms: callOptionsOf("maintenance.alarms"),
  disarm: optionsOf("maintenance.disarm", {
    ...callChecks,
    memberId: { allowed: "a member's id in lower-case hex", holds: isMemberId },
    alarm: { allowed: '"nospace" or "corrupt"', holds: (value) => alarms.some((alarm) => alarm === value) },
  }),
  defragment: optionsOf("maintenance.defragment", memberChecks),
  hashKv: optionsOf("maintenance.hashKv", { ...memberChecks, revision: wholeNumber(1) }),
  moveLeader: callOptionsOf("maintenance.moveLeader"),
  snapshot: optionsOf("maintenance.snapshot", { ...memberChecks, onProgress: callback }),
  downgrade: callOptionsOf("maintenance.downgrade"),
};

/**
 * The care of a cluster. While authentication is on, only root may call any of it but `status()` and `alarms()`; etcd
 * before 3.4.42, 3.5.28 and 3.6.9 lets every user do all but `defragment()`, `hashKv()` and `snapshot()`
 * (CVE-2026-33413). What is asked of one member takes an `endpoint`:
 *
 * ```ts
 * for (const endpoint of etcd.endpoints) await etcd.maintenance.defragment({ endpoint });
 * ```
 */
export class Maintenance {
  static {
    showAs(Maintenance, "Maintenance", (it) => ({ endpoints: it.#calls.endpoints }));
  }

  readonly #parts: AdminParts;
  readonly #calls: AdminCalls;

  /** @internal */
  constructor(parts: AdminParts) {
    this.#parts = parts;
    this.#calls = new AdminCalls(parts);
  }

  /** What a member says of itself. A member without a leader, and a learner, answers too; no user is needed for it. */
  async status(options: StatusOptions = {}): Promise<EtcdStatus> {
    checkOf.status(options);
    const { endpoint } = options;
    const { protocol } = this.#parts;
    const status = await this.#ofMember("status", options, (asked) => protocol.memberStatus(asked, options));
    return { endpoint, ...status };
  }

  /** The alarms of all members. With `nospace` etcd takes no writes until it is disarmed; with `corrupt`, nothing. */
  async alarms(options?: CallOptions): Promise<readonly ClusterAlarm[]> {
    checkOf.alarms(options);
    return this.#calls.run("maintenance.alarms", undefined, options, (admin) => admin.alarms(options));
  }

  /**
   * Takes alarms back that are up: all of them, or those of a member or a kind. Make room first (compact, then
   * defragment each member), or etcd raises them again. It is repeated on other endpoints within its time. After an
   * error with `outcomeUnknown: true`, or an abort, some may be taken back.
   *
   * @returns those that it took back
   */
  async disarm(options: DisarmOptions = {}): Promise<readonly ClusterAlarm[]> {
    checkOf.disarm(options);
    const { memberId, alarm } = options;
    const { protocol, runtime } = this.#parts;
    const whole = { signal: options.signal, timeoutMs: options.timeoutMs ?? protocol.requestTimeoutMs };
    return this.#calls.run("maintenance.disarm", alarm, options, (admin) =>
      timed(
        runtime.clock,
        "disarm",
        whole,
        async (call) => {
          const all = await admin.alarms(call);
          const some = all.filter(
            (it) => (memberId ?? it.memberId) === it.memberId && (alarm ?? it.alarm) === it.alarm,
          );
          for (const [done, it] of some.entries()) {
            await admin.disarm(it.memberId, it.alarm, call).catch((error: unknown) => {
              throw done > 0 ? withUnknownOutcome(error, call.signal) : error;
            });
          }
          return some;
        },
        () => protocol.unreached,
      ),
    );
  }

  /**
   * Gives space of a member's database back to the disk. The member answers nothing else meanwhile, which may be
   * minutes: one after the other, the leader last. It is sent once; after an error with `outcomeUnknown: true`, or an
   * abort, the member may be at it.
   */
  async defragment(options: SlowCallOptions = {}): Promise<void> {
    checkOf.defragment(options);
    await this.#ofMember("defragment", options, (endpoint) => this.#parts.protocol.admin.defragment(endpoint, options));
  }

  /**
   * A hash over all keys of a member with their history, to find members that disagree: ask each at one `revision`, and
   * compare those that have the same `compactRevision`. Repeated within its time, on the same endpoint where one is
   * given.
   *
   * @throws CompactedError, FutureRevisionError for a `revision` that the member no longer or not yet has
   */
  async hashKv(options: HashKvOptions = {}): Promise<KeyHash> {
    checkOf.hashKv(options);
    const { revision } = options;
    return this.#ofMember("hashKv", options, (endpoint) =>
      this.#parts.protocol.admin.hashKv(endpoint, revision, options),
    );
  }

  /**
   * Makes a member the leader, which takes about the time of a heartbeat; nothing happens when it leads already. Asks
   * all endpoints for the leader, and the leader once to step down.
   *
   * @param memberId of a member that votes: `status().memberId`, or as `cluster.members()` has it
   * @throws UnavailableError when the leader is behind none of the endpoints, or has changed meanwhile;
   *   RequestRefusedError for a learner, and for what is no member. After an error with `outcomeUnknown: true`, or an
   *   abort, it may lead, or come to
   */
  async moveLeader(memberId: string, options: CallOptions = {}): Promise<void> {
    checkMemberId("maintenance.moveLeader", "memberId", memberId);
    checkOf.moveLeader(options);
    await this.#calls.run("maintenance.moveLeader", memberId, options, () =>
      makeLeader(this.#parts, memberId, options),
    );
  }

  /**
   * Saves all that a member has to a file, as `etcdutl snapshot restore` reads it: keys with their history, leases,
   * users and roles. The file is there when it is whole, its sum is right and it is on the disk; one that was there, or
   * that a symbolic link leads to, is replaced; a pipe or a device is refused. Other endpoints are asked until a first
   * part has come; after that a failure ends it, and nothing stays.
   *
   * @throws InvalidOptionError when there can be no such file, before etcd is asked; ProtocolError when its sum is
   *   wrong; what the file system says (`EMFILE`, `ENOSPC`, …) when it refuses for another reason
   */
  async snapshot(file: string, options: SnapshotOptions = {}): Promise<SavedSnapshot> {
    if (typeof file !== "string" || file === "" || file.includes("\0")) {
      throw new InvalidOptionError("maintenance.snapshot", "file", `must be the path of a file, not ${shown(file)}`);
    }
    checkOf.snapshot(options);
    return this.#ofMember("snapshot", options, async (endpoint) => {
      const { onProgress, signal, timeoutMs } = options;
      signal?.throwIfAborted();
      const saved = await SnapshotFile.create(file);
      const ending = new AbortController();
      const release = onAbort(signal, () => ending.abort(signal?.reason));
      const take = async (part: SnapshotPart) => {
        try {
          const progress = await saved.write(part);
          if (!ending.signal.aborted) onProgress?.(progress);
        } catch (error) {
          ending.abort(error);
        }
      };
      try {
        await this.#parts.protocol.admin.snapshot(endpoint, take, { signal: ending.signal, timeoutMs });
        ending.signal.throwIfAborted();
        return await saved.finish();
      } catch (error) {
        await saved.discard();
        throw error;
      } finally {
        release();
      }
    });
  }

  /**
   * Prepares the cluster for an older etcd, one minor version below, and members are then replaced one by one:
   * `validate` asks whether it can be done, `enable` begins it, `cancel` ends it.
   *
   * @param version such as "3.5"; may be left out for `cancel`
   * @returns the version of the cluster
   * @throws RequestRefusedError for a version that cannot be, while another one is under way, or, for `cancel`, while
   *   none is; by an etcd before 3.5. Etcd 3.5 does what `enable` and `cancel` say, and answers neither. After an error
   *   with `outcomeUnknown: true`, or an abort, `enable` or `cancel` may have been done
   */
  async downgrade(
    action: "validate" | "enable" | "cancel",
    version?: string,
    options?: CallOptions,
  ): Promise<{ readonly version: string }> {
    const what = "maintenance.downgrade";
    if (!downgrades.includes(action)) {
      throw new InvalidOptionError(what, "action", `must be one of ${downgrades.join(", ")}, not ${shown(action)}`);
    }
    const isVersion = typeof version === "string" && /^\d+\.\d+(\.\d+)?$/.test(version);
    if (!isVersion && !(action === "cancel" && version === undefined)) {
      throw new InvalidOptionError(what, "version", `must be a version such as "3.5", not ${shown(version)}`);
    }
    checkOf.downgrade(options);
    const of = await this.#calls.run(what, action, options, (admin) => admin.downgrade(action, version ?? "", options));
    return { version: of };
  }

  async #ofMember<Result>(
    name: "status" | "defragment" | "hashKv" | "snapshot",
    options: MemberCallOptions,
    work: (endpoint: ReturnType<typeof endpointOf>) => Promise<Result>,
  ): Promise<Result> {
    const { endpoint } = options;
    const call = `maintenance.${name}`;
    const about = endpoint === undefined ? undefined : `of ${endpoint}`;
    const asked = endpointOf(this.#parts.protocol, call, endpoint);
    return this.#calls.run(call, about, options, () => work(asked));
  }
}
