import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { EtcdStartError } from "./etcd-start-error.ts";
import { runKeeper } from "./keeper-program.ts";
import type { KeeperCommand, KeeperConfig, KeeperMessage, KeeperReply } from "./keeper-protocol.ts";

const program = `(${runKeeper})({
  childProcess: require("node:child_process"),
  fs: require("node:fs"),
  net: require("node:net"),
  os: require("node:os"),
  path: require("node:path"),
})`;

interface Waiting {
  resolve(reply: KeeperReply): void;
  reject(error: Error): void;
}

/**
 * The parent's handle on its keeper process (see `keeper-program.ts`). It holds the parent's event loop only while a
 * command is under way: a process that forgets `close()` can end, and the keeper then ends everything.
 */
export class Keeper {
  /** The temporary folder of the cluster; the keeper removes it at the end. */
  readonly folder: string;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #end: string | undefined;

  private constructor(process: ChildProcess, folder: string, onExit: (member: number, reason: string) => void) {
    this.#process = process;
    this.folder = folder;
    process.on("message", (message: KeeperMessage) => {
      if (message.type === "reply") this.#settle(message);
      if (message.type === "exit") onExit(message.member, message.reason);
    });
    process.on("disconnect", () => this.#abandon());
    this.#hold();
  }

  /**
   * @param onExit called with every member process that ends, wanted or not, before the command that ended it is
   *   answered
   * @throws EtcdStartError when there can be no such process
   */
  static async start(
    config: KeeperConfig,
    env: NodeJS.ProcessEnv,
    onExit: (member: number, reason: string) => void,
  ): Promise<Keeper> {
    try {
      const child = spawn(process.execPath, ["-e", program, JSON.stringify(config)], {
        env,
        // A process group of its own: Ctrl-C in a terminal must not end etcd before its clients have deregistered.
        detached: true,
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      const ready = once(child, "message");
      const failed = once(child, "exit").then(() => {
        throw new Error("it ended before it was ready");
      });
      const [message] = (await Promise.race([ready, failed])) as [KeeperMessage];
      if (message.type !== "ready") throw new Error(`it began with ${message.type}`);
      return new Keeper(child, message.folder, onExit);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message : String(cause);
      throw new EtcdStartError(`the keeper process of the etcd cluster cannot be started: ${text}`, "", { cause });
    }
  }

  /** Rejects when the keeper refuses the command or is gone. */
  async send(command: KeeperCommand): Promise<KeeperReply> {
    if (this.#end !== undefined) throw new Error(this.#end);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#hold();
      // No keeper would answer it, and a caller that waits for nothing must not hear later that it is gone.
      const refuse = (error: unknown) => {
        this.#waiting.delete(id);
        this.#hold();
        reject(error);
      };
      try {
        this.#process.send({ ...command, id }, (error) => error && refuse(error));
      } catch (error) {
        refuse(error);
      }
    });
  }

  /** Ends every member and removes the folder. Resolves when that is done; at once when the keeper is gone. */
  async close(): Promise<void> {
    if (this.#end !== undefined) return;
    const closed = this.send({ op: "close" });
    this.#end = "the etcd cluster is closed";
    await closed.catch(() => {});
  }

  #settle(reply: KeeperReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    this.#hold();
    if (reply.error === undefined) waiting?.resolve(reply);
    else waiting?.reject(new Error(reply.error));
  }

  #abandon(): void {
    this.#end ??= "the keeper process of the etcd cluster is gone";
    for (const { reject } of this.#waiting.values()) reject(new Error(this.#end));
    this.#waiting.clear();
    this.#hold();
  }

  #hold(): void {
    const hold = this.#waiting.size > 0 ? "ref" : "unref";
    this.#process[hold]();
    this.#process.channel?.[hold]();
  }
}
