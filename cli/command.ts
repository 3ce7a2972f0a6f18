import type { EtcdClient } from "../recipes/index.ts";
import type { Output } from "./output.ts";

/** An option of a command, and what the help says of it. */
export interface CommandOption {
  readonly type: "string" | "boolean";
  readonly short?: string;
  /** Whether it may be given several times: then its value is a list. @default false */
  readonly multiple?: boolean;
  readonly help: string;
  /** Stands for the value in the help. */
  readonly value?: string;
}

/** By name; what was not given is missing. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

/** What a command gets to work with. */
export interface Context {
  /** The words after the command's name, as many as `arguments` names; without a `program` also those after `--`. */
  readonly words: readonly string[];
  /** What stands after `--`, where one is `needed`. */
  readonly program: readonly string[];
  readonly options: OptionValues;
  /** How long a single request may take. */
  readonly timeoutMs: number;
  /** Aborts when the user stops the program; the reason is the name of the signal. */
  readonly signal: AbortSignal;
  /** Both of them: for each request that is not meant to outlive the user's signal. */
  readonly call: { readonly timeoutMs: number; readonly signal: AbortSignal };
  readonly output: Output;
  /** Made when it is first asked for; closed when the command is over. */
  etcd(): EtcdClient;
}

export interface Command {
  /** One word, or two: `queue ls`. */
  readonly name: string;
  /** What the words after it are. A last one in brackets may be left out. */
  readonly arguments: readonly string[];
  readonly summary: string;
  readonly options?: Readonly<Record<string, CommandOption>>;
  /** Whether a program to run stands after `--`. @default "none" */
  readonly program?: "needed" | "none";
  /** Whether it asks an etcd: if not, it refuses the flags of a connection. @default true */
  readonly connects?: boolean;
  /** Whether it shows itself why etcd is not reached: then no note on stderr says so. @default false */
  readonly showsOutages?: boolean;
  /** @returns the exit code, unless it is 0 */
  run(context: Context): Promise<number | undefined>;
}

/** As the help writes it. */
export function usageOf(command: Command): string {
  const options = Object.entries(command.options ?? {}).map(([name, { value }]) =>
    value === undefined ? ` [--${name}]` : ` [--${name} ${value}]`,
  );
  const program = command.program === "needed" ? " -- COMMAND [ARGUMENT...]" : "";
  return `etcd-recipes ${[command.name, ...command.arguments].join(" ")}${options.join("")}${program}`;
}
