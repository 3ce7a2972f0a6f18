import { readFile, rm } from "node:fs/promises";
import { ClusterTimeoutError } from "./cluster-timeout-error.ts";
import type { EtcdMember } from "./etcd-member.ts";
import { EtcdStartError } from "./etcd-start-error.ts";
import { isServing } from "./gateway.ts";
import type { GatewayAccess } from "./gateway-access.ts";
import type { Keeper } from "./keeper.ts";
import type { MemberPlan } from "./member-plan.ts";
import { poll } from "./poll.ts";
import { isStopped } from "./stopped-process.ts";

/** What a member needs of its cluster. */
export interface MemberSurroundings {
  readonly keeper: Keeper;
  readonly binary: string;
  readonly env: Readonly<Record<string, string>>;
  readonly startTimeoutMs: number;
  readonly memberCount: number;
  readonly access: GatewayAccess;
  flags(plan: MemberPlan, state: "new" | "existing"): string[];
  /** Whether the members that run and reach each other are a majority that can elect and commit. */
  hasMajority(): boolean;
  replace(member: Member): Promise<void>;
}

const stopLimitMs = 15_000;
const pauseLimitMs = 10_000;
const logTailLines = 30;

/** The one implementation of {@link EtcdMember}. */
export class Member implements EtcdMember {
  readonly plan: MemberPlan;
  readonly #surroundings: MemberSurroundings;
  #state: EtcdMember["state"] = "stopped";
  #pid: number | undefined;
  #isolated = false;
  #exitReason = "";
  /** Settled when all that was begun in turn is over. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(plan: MemberPlan, surroundings: MemberSurroundings) {
    this.plan = plan;
    this.#surroundings = surroundings;
  }

  get index(): number {
    return this.plan.index;
  }

  get name(): string {
    return this.plan.name;
  }

  get endpoint(): string {
    return this.plan.clientUrl;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  get state(): EtcdMember["state"] {
    return this.#state;
  }

  get isolated(): boolean {
    return this.#isolated;
  }

  /** Whether it runs and its peers can reach it. */
  get joined(): boolean {
    return this.#state === "running" && !this.#isolated;
  }

  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  async pause(): Promise<void> {
    if (this.#state !== "running") return;
    await this.#surroundings.keeper.send({ op: "signal", member: this.index, signal: "SIGSTOP" });
    this.#change("running", "paused");
    const stopped = async () => this.#pid === undefined || (await isStopped(this.#pid)) || undefined;
    await poll(stopped, `${this.name} is stopped`, pauseLimitMs);
  }

  async resume(): Promise<void> {
    if (this.#state !== "paused") return;
    await this.#surroundings.keeper.send({ op: "signal", member: this.index, signal: "SIGCONT" });
    this.#change("paused", "running");
  }

  restart(): Promise<void> {
    return this.inTurn(async () => {
      await this.stop();
      await this.launch("new");
      if (this.#isolated || !this.#surroundings.hasMajority()) return;
      await this.untilServing();
    });
  }

  /** What ends the process and starts it again is done one after the other. */
  inTurn<Result>(run: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async isolate(): Promise<void> {
    if (this.#surroundings.memberCount === 1) throw new Error("a cluster of one has no peers to be cut from");
    await this.#surroundings.keeper.send({ op: "isolate", member: this.index, on: true });
    this.#isolated = true;
  }

  async heal(): Promise<void> {
    if (!this.#isolated) return;
    await this.#surroundings.keeper.send({ op: "isolate", member: this.index, on: false });
    this.#isolated = false;
  }

  replace(): Promise<void> {
    return this.#surroundings.replace(this);
  }

  /**
   * Starts the process and does not wait until it serves.
   *
   * @param state ignored by etcd where there is data
   * @throws EtcdStartError when there can be no such process
   */
  async launch(state: "new" | "existing"): Promise<void> {
    const { keeper, binary, env } = this.#surroundings;
    const { logFile } = this.plan;
    const flags = this.#surroundings.flags(this.plan, state);
    this.#state = "running";
    try {
      const started = await keeper.send({ op: "start", member: this.index, binary, flags, env, logFile });
      // It may have ended already.
      if (this.#state === "running") this.#pid = started.pid;
    } catch (error) {
      this.#state = "stopped";
      const text = error instanceof Error ? error.message : String(error);
      throw new EtcdStartError(`etcd ${this.name} cannot be started: ${text}`, await this.#logTail(), { cause: error });
    }
  }

  /** @throws EtcdStartError when the process ends, or does not serve within the limit */
  async untilServing(): Promise<void> {
    const limitMs = this.#surroundings.startTimeoutMs;
    const probe = async () => {
      if (this.#state === "stopped") return "ended";
      return (await isServing(this.endpoint, this.#surroundings.access)) ? "serving" : undefined;
    };
    let problem: string;
    try {
      if ((await poll(probe, "the member serves", limitMs)) === "serving") return;
      problem = `ended (${this.#exitReason}) before it served`;
    } catch (error) {
      if (!(error instanceof ClusterTimeoutError)) throw error;
      problem = `does not serve within ${limitMs} ms`;
    }
    throw new EtcdStartError(`etcd ${this.name} at ${this.endpoint} ${problem}; its log ends:`, await this.#logTail());
  }

  async removeData(): Promise<void> {
    await rm(this.plan.dataFolder, { recursive: true, force: true });
  }

  /** Called by the keeper when the process has ended, for whatever reason. */
  noteExit(reason: string): void {
    this.#exitReason = reason;
    this.#state = "stopped";
    this.#pid = undefined;
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#surroundings.keeper.send({ op: "end", member: this.index, signal, limitMs: stopLimitMs });
  }

  #change(from: EtcdMember["state"], to: EtcdMember["state"]): void {
    if (this.#state === from) this.#state = to;
  }

  async #logTail(): Promise<string> {
    const log = await readFile(this.plan.logFile, "utf8").catch(() => "");
    return log.trimEnd().split("\n").slice(-logTailLines).join("\n");
  }
}
