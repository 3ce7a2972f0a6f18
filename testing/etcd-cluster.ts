import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { ResolvedAuth } from "./auth-options.ts";
import { cleanEnvironment } from "./clean-environment.ts";
import { type AuthSurroundings, ClusterAuth } from "./cluster-auth.ts";
import { ClusterTls } from "./cluster-tls.ts";
import type { EtcdMember } from "./etcd-member.ts";
import type { EtcdBinary } from "./find-etcd.ts";
import { releasePorts, takePorts } from "./free-ports.ts";
import {
  addMember,
  compactHistory,
  findMemberId,
  type MemberStatus,
  readStatus,
  removeMember,
  transferLeadership,
} from "./gateway.ts";
import { GatewayAccess } from "./gateway-access.ts";
import { Keeper } from "./keeper.ts";
import { Member, type MemberSurroundings } from "./member.ts";
import { type ClusterPlan, type MemberPlan, memberFlags } from "./member-plan.ts";
import { peerUrl } from "./peer-address.ts";
import { poll } from "./poll.ts";
import type { ResolvedTls } from "./tls-options.ts";
import { makeTokenFlags } from "./token-flags.ts";

/** @internal What {@link EtcdCluster.start} needs; every default is filled in. */
export interface ClusterSetup {
  readonly binary: EtcdBinary;
  readonly members: number;
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly startTimeoutMs: number;
  readonly tls: ResolvedTls | undefined;
  readonly auth: ResolvedAuth | undefined;
}

/** What a client of the cluster needs; `new EtcdClient(cluster.clientOptions)` takes it. */
export interface ClusterClientOptions {
  readonly endpoints: string[];
  /** The CA and a client's certificate, where the cluster is under TLS. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
  /** Root, where authentication was asked for. */
  readonly auth?: { readonly username: string; readonly password: string };
}

/** How long to wait for a leader. */
export interface LeaderWaitOptions {
  /** @default 10000 */
  readonly timeoutMs?: number;
}

const defaultLeaderTimeoutMs = 10_000;

/**
 * A cluster of real etcd processes on 127.0.0.1, made by `startEtcd`. It ends with `close()`, at the end of an
 * `await using` scope, or with the process that started it, however that dies.
 */
export class EtcdCluster {
  /** The version of its etcd, such as "3.5.21". */
  readonly version: string;
  readonly members: readonly EtcdMember[];
  /** Its certificates; undefined unless it was started with `tls`. */
  readonly tls: ClusterTls | undefined;
  /** Its users and roles; undefined unless it was started with `auth`. */
  readonly auth: ClusterAuth | undefined;
  readonly #access: GatewayAccess;
  readonly #members: readonly Member[];
  readonly #keeper: Keeper;
  readonly #ports: readonly number[];
  #closing: Promise<void> | undefined;

  private constructor(
    version: string,
    members: readonly Member[],
    keeper: Keeper,
    ports: readonly number[],
    tls: ClusterTls | undefined,
    auth: ResolvedAuth | undefined,
  ) {
    this.version = version;
    this.members = members;
    this.#members = members;
    this.#keeper = keeper;
    this.#ports = ports;
    this.tls = tls;
    const surroundings: AuthSurroundings = {
      leader: async () => (await this.leader()).endpoint,
      joined: () => this.#joined().map(({ endpoint }) => endpoint),
    };
    this.auth = auth && new ClusterAuth(auth, tls, surroundings);
    this.#access = this.auth?.access ?? new GatewayAccess(tls);
  }

  /** @internal Use `startEtcd`. */
  static async start(setup: ClusterSetup): Promise<EtcdCluster> {
    const ports = await takePorts(2 * setup.members);
    const clientPorts = ports.slice(0, setup.members);
    const peerPorts = ports.slice(setup.members);
    const members: Member[] = [];
    const keeper = await Keeper.start(
      { peerPorts: setup.members > 1 ? peerPorts : [] },
      cleanEnvironment(process.env),
      (index, reason) => members[index]?.noteExit(reason),
    ).catch((error: unknown) => {
      releasePorts(ports);
      throw error;
    });
    try {
      const tls = setup.tls && (await ClusterTls.create(join(keeper.folder, "tls"), setup.tls));
      const tokenFlags =
        setup.auth === undefined ? [] : await makeTokenFlags(join(keeper.folder, "tokens"), setup.auth);
      const plan: ClusterPlan = {
        token: `etcd-recipes-${randomUUID()}`,
        extraFlags: setup.flags,
        members: clientPorts.map((clientPort, index): MemberPlan => {
          const peerPort = peerPorts[index] ?? 0;
          const name = `m${index + 1}`;
          return {
            index,
            name,
            clientUrl: `${tls === undefined ? "http" : "https"}://127.0.0.1:${clientPort}`,
            peerPort,
            peerUrl: setup.members > 1 ? peerUrl(index) : `http://127.0.0.1:${peerPort}`,
            dataFolder: join(keeper.folder, name),
            logFile: join(keeper.folder, `${name}.log`),
            securityFlags: [...(tls?.memberFlags(index) ?? []), ...tokenFlags],
          };
        }),
      };
      const cluster = new EtcdCluster(setup.binary.version, members, keeper, ports, tls, setup.auth);
      const surroundings: MemberSurroundings = {
        keeper,
        binary: setup.binary.path,
        env: setup.env,
        startTimeoutMs: setup.startTimeoutMs,
        memberCount: setup.members,
        access: cluster.#access,
        flags: (member, state) => memberFlags(member, plan, state),
        hasMajority: () => cluster.#joined().length >= cluster.#majority,
        replace: (member) => member.inTurn(() => cluster.#replace(member)),
      };
      for (const member of plan.members) members.push(new Member(member, surroundings));
      await cluster.#launchAll();
      return cluster;
    } catch (error) {
      await keeper.close();
      releasePorts(ports);
      throw error;
    }
  }

  /**
   * Where clients reach the members, in their order: "http://127.0.0.1:<port>", or https under TLS. The same for the
   * life of the cluster.
   */
  get endpoints(): string[] {
    return this.#members.map((member) => member.endpoint);
  }

  /** The options of a client that may do everything: endpoints, certificate files, root and its password of now. */
  get clientOptions(): ClusterClientOptions {
    const { endpoints, tls, auth } = this;
    return {
      endpoints,
      ...(tls && { tls: { caFile: tls.caFile, certFile: tls.certFile, keyFile: tls.keyFile } }),
      ...(auth && { auth: { username: auth.username, password: auth.password } }),
    };
  }

  /** @throws RangeError when there is no such member */
  member(index: number): EtcdMember {
    return this.#member(index);
  }

  /**
   * The leader that a majority knows, among the members that run and are not isolated; waits until there is one.
   *
   * @throws ClusterTimeoutError
   */
  async leader({ timeoutMs = defaultLeaderTimeoutMs }: LeaderWaitOptions = {}): Promise<EtcdMember> {
    return poll(() => this.#currentLeader(), "a majority of the members knows a leader", timeoutMs);
  }

  /**
   * Moves the leadership to a member, by default to the next one that runs and is not isolated.
   *
   * @returns the new leader
   * @throws ClusterTimeoutError
   */
  async moveLeader(
    toIndex?: number,
    { timeoutMs = defaultLeaderTimeoutMs }: LeaderWaitOptions = {},
  ): Promise<EtcdMember> {
    const { index: from } = await this.leader({ timeoutMs });
    const target = toIndex === undefined ? this.#nextJoined(from) : this.#member(toIndex);
    const move = async () => {
      const leader = await this.#currentLeader();
      if (leader === undefined || leader === target) return leader;
      const { memberId } = await readStatus(target.endpoint, this.#access);
      await transferLeadership(leader.endpoint, memberId, this.#access);
      return undefined;
    };
    return poll(move, `${target.name} leads`, timeoutMs);
  }

  /** Kills all members at once, by SIGKILL. Their data stays. */
  async kill(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.kill()));
  }

  /** Restarts all members at once, with their data, and resolves when all serve (an isolated one: when it runs). */
  async restart(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.restart()));
  }

  /**
   * Kills all members, removes all their data and starts them under the same flags: same endpoints, names, token,
   * cluster id and member ids; an empty store at revision 1. Isolated members are healed. Resolves when all serve.
   * With `auth`, root and the users that the cluster was started with are there again, root with its password of now.
   */
  wipe(): Promise<void> {
    const wipe = async () => {
      await this.kill();
      await Promise.all(this.#members.map((member) => Promise.all([member.removeData(), member.heal()])));
      await this.#launchAll();
    };
    // In the turn of all members, which are always waited for in the same order.
    return this.#members.reduceRight((run, member) => () => member.inTurn(run), wipe)();
  }

  /**
   * Compacts the history: revisions before `revision` can no longer be read, and events up to it no longer be
   * watched.
   */
  async compact(revision: number): Promise<void> {
    const { endpoint } = await this.leader();
    await compactHistory(endpoint, revision, this.#access);
  }

  /** Ends all members and removes their data. Every call after the first returns the first one's promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#keeper.close();
    releasePorts(this.#ports);
  }

  async #launchAll(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.launch("new")));
    await Promise.all(this.#members.map((member) => member.untilServing()));
    await this.auth?.establish();
  }

  async #replace(member: Member): Promise<void> {
    await member.kill();
    await member.heal();
    const { endpoint } = await this.leader();
    const { peerUrl } = member.plan;
    const remove = async () => {
      const id = await findMemberId(endpoint, peerUrl, this.#access);
      if (id === undefined) return true;
      await removeMember(endpoint, id, this.#access);
      return undefined;
    };
    await poll(remove, `${member.name} is removed`, defaultLeaderTimeoutMs);
    await member.removeData();
    const add = async () => {
      if ((await findMemberId(endpoint, peerUrl, this.#access)) !== undefined) return true;
      await addMember(endpoint, peerUrl, this.#access);
      return undefined;
    };
    await poll(add, `${member.name} is added`, defaultLeaderTimeoutMs);
    await member.launch("existing");
    await member.untilServing();
  }

  get #majority(): number {
    return Math.floor(this.#members.length / 2) + 1;
  }

  #joined(): Member[] {
    return this.#members.filter((member) => member.joined);
  }

  #nextJoined(from: number): Member {
    const joined = this.#joined();
    const next = joined.find(({ index }) => index > from) ?? joined.find(({ index }) => index !== from);
    if (next === undefined) throw new Error("there is no other member that could lead");
    return next;
  }

  #member(index: number): Member {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`there is no member ${index} among ${this.#members.length}`);
    return member;
  }

  async #currentLeader(): Promise<Member | undefined> {
    const joined = this.#joined();
    const views = await Promise.all(
      joined.map(({ endpoint }) => readStatus(endpoint, this.#access).catch(() => undefined)),
    );
    const isLeader = (view: MemberStatus | undefined) =>
      view !== undefined && view.leaderId === view.memberId && countSameView(views, view) >= this.#majority;
    return joined[views.findIndex(isLeader)];
  }
}

function countSameView(views: readonly (MemberStatus | undefined)[], { leaderId, raftTerm }: MemberStatus): number {
  return views.filter((view) => view?.leaderId === leaderId && view.raftTerm === raftTerm).length;
}
