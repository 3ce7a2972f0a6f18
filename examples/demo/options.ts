import { parseArgs } from "node:util";

export const help = `npm run demo [-- <options>]

Three master processes register themselves in etcd, a scheduler follows the list and sends them requests. The demo kills
masters and members of etcd while you watch, and ends by itself in less than a minute.

  --forever   repeat until Ctrl-C, which deregisters everything
  --plain     plain lines instead of the live view (also: output is no terminal, NO_COLOR, TERM=dumb)
  --help      show this

ETCD_ENDPOINTS=http://host:port,...   use that etcd instead of a cluster of its own; its members are left alone
ETCD_BIN=/path/to/etcd                the etcd to make the cluster of`;

/** What the command line and the environment ask for. */
export interface DemoOptions {
  readonly help: boolean;
  readonly forever: boolean;
  /** A view that is redrawn in place, rather than lines. */
  readonly live: boolean;
}

/** @throws Error that names an option which is not known */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv, isTerminal: boolean): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      forever: { type: "boolean", default: false },
      plain: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { forever, plain, help } = values;
  return { forever, help, live: isTerminal && !plain && !env.NO_COLOR && env.TERM !== "dumb" };
}
