import type { Command, CommandOption } from "./command.ts";
import { connectionFlags } from "./connection-flags.ts";

const ofAll: Readonly<Record<string, CommandOption>> = {
  json: { type: "boolean", help: "print JSON, a value on each line" },
  help: { type: "boolean", short: "h", help: "what a command does" },
  version: { type: "boolean", help: "the version of etcd-recipes" },
};

/** The flags that no command names itself. */
export const commonFlags: Readonly<Record<string, CommandOption>> = { ...connectionFlags, ...ofAll };

/** Those of them that mean something to a command. */
export function commonFlagsOf({ connects = true }: Pick<Command, "connects">): Readonly<Record<string, CommandOption>> {
  return connects ? commonFlags : ofAll;
}
