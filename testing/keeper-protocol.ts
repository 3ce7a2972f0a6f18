/** What the keeper is given when it is spawned, as JSON in its first argument. */
export interface KeeperConfig {
  /** The port on 127.0.0.1 where each member listens for its peers; the members' order is their index. */
  readonly peerPorts: readonly number[];
}

/** A command to the keeper. Each is answered by one {@link KeeperReply}. */
export type KeeperCommand =
  /** Starts a member that is not running. Its output is appended to `logFile`. */
  | {
      readonly op: "start";
      readonly member: number;
      readonly binary: string;
      readonly flags: readonly string[];
      /** Added to the environment of the keeper. */
      readonly env: Readonly<Record<string, string>>;
      readonly logFile: string;
    }
  /** Sends a signal and answers at once; nothing happens when the member is not running. */
  | { readonly op: "signal"; readonly member: number; readonly signal: "SIGSTOP" | "SIGCONT" }
  /** Ends a member, paused or not, and answers when it is gone; SIGKILL follows after `limitMs`. */
  | { readonly op: "end"; readonly member: number; readonly signal: "SIGTERM" | "SIGKILL"; readonly limitMs: number }
  /** Cuts a member from its peers, or joins it to them again. */
  | { readonly op: "isolate"; readonly member: number; readonly on: boolean }
  /** Ends everything, removes the folder, answers and exits. */
  | { readonly op: "close" };

export type KeeperRequest = KeeperCommand & { readonly id: number };

export interface KeeperReply {
  readonly type: "reply";
  readonly id: number;
  readonly pid?: number;
  readonly error?: string;
}

/** What the keeper says, over the IPC channel. */
export type KeeperMessage =
  | { readonly type: "ready"; readonly folder: string }
  | { readonly type: "exit"; readonly member: number; readonly reason: string }
  | KeeperReply;
