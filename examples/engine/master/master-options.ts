import { isIP } from "node:net";
import { parseArgs } from "node:util";
import { readId, readNumber, readWhole } from "../shared/flags.ts";

export const masterUsage = `master.js --id <id> [--<option> <value>]…

Registers itself under /publictest/pipeline/<id> and does the tasks that it is given by POST /run.

  --dir <folder>        its build caches and its log of what was done  (./<id>)
  --host, --port        where it serves  (127.0.0.1, any free port)
  --address <address>   by what schedulers reach it, a host or host:port: needed where it serves on all interfaces,
                        with --host 0.0.0.0 for instance  (the host and the port)
  --zone <name>         metadata of its registration  (a)
  --weight <number>     its share of the load  (1)
  --ttl <seconds>       how long its registration outlives it  (5)
  --cache-ttl <seconds> how long a build cache lives after its last use  (604800, a week)
  --drain <seconds>     how long it goes on with what it has when it is asked to stop  (60)
  --json                one JSON object for each event

ETCD_ENDPOINTS names the etcd.`;

export interface MasterOptions {
  readonly id: string;
  readonly dir: string;
  readonly host: string;
  readonly port: number;
  /** Undefined: made of where it listens. */
  readonly address: string | undefined;
  readonly zone: string;
  readonly weight: number;
  readonly ttlSeconds: number;
  readonly cacheTtlSeconds: number;
  readonly drainSeconds: number;
  readonly json: boolean;
}

/** @throws InvalidOptionError, or the error of `parseArgs`, that names the flag */
export function readMasterOptions(args: readonly string[]): MasterOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      id: { type: "string" },
      dir: { type: "string" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "0" },
      address: { type: "string" },
      zone: { type: "string", default: "a" },
      weight: { type: "string", default: "1" },
      ttl: { type: "string", default: "5" },
      "cache-ttl": { type: "string", default: String(7 * 24 * 3600) },
      drain: { type: "string", default: "60" },
      json: { type: "boolean", default: false },
    },
  });
  const id = readId("master", "id", values.id);
  const { dir = id, host, zone, json } = values;
  const number = (flag: "weight" | "ttl" | "cache-ttl" | "drain") => readNumber("master", flag, values[flag]);
  return {
    id,
    dir,
    host,
    // A name stays one: the machine behind it may change.
    address: values.address ?? (isIP(host) === 0 ? host : undefined),
    zone,
    json,
    port: readWhole("master", "port", values.port),
    weight: number("weight"),
    ttlSeconds: number("ttl"),
    cacheTtlSeconds: number("cache-ttl"),
    drainSeconds: number("drain"),
  };
}
