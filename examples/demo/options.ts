import { parseArgs } from "node:util";

export const help = `npm run demo [-- <options>]

The engine on a cluster of three members of etcd: three masters do the tasks that the elected one of two schedulers hands
them. The demo kills masters, the leader and a member of etcd, cancels a pipeline, lets a confirmation time out and a cache
expire, while you watch. It ends by itself in about a minute, and says whether a task was lost.

  --redis     tasks from Redis instead of the queue in etcd
  --forever   go on with failures at random until Ctrl-C
  --plain     plain lines instead of the live view (also: output is no terminal, NO_COLOR, TERM=dumb)
  --help      show this

ETCD_ENDPOINTS=http://host:port,...   use that etcd instead of a cluster of its own; its members are left alone
ETCD_BIN=/path/to/etcd                the etcd to make the cluster of
REDIS_URL=redis://host:port           with --redis: use that Redis instead of one of its own`;

/** What the command line and the environment ask for. */
export interface DemoOptions {
  readonly help: boolean;
  readonly forever: boolean;
  readonly redis: boolean;
  /** A view that is redrawn in place, rather than lines. */
  readonly live: boolean;
}

/** @throws Error that names an option which is not known */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv, isTerminal: boolean): DemoOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      redis: { type: "boolean", default: false },
      forever: { type: "boolean", default: false },
      plain: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { redis, forever, plain, help } = values;
  return { redis, forever, help, live: isTerminal && !plain && !env.NO_COLOR && env.TERM !== "dumb" };
}
