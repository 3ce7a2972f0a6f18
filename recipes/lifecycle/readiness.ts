import { EtcdClient, InvalidOptionError, type MirrorStatus } from "../../src/index.ts";
import { shown } from "../../src/internal/index.ts";
import { RegistrationGroup } from "../registration-group/index.ts";
import type { RegisterStatus } from "../service-register/index.ts";
import { Storage } from "../storage/index.ts";
import { isLeaving } from "./leaving.ts";
import { nameOf } from "./name-of.ts";

/** Whether a process can take requests. */
export interface ReadinessReport {
  readonly ready: boolean;
  /** What it waits for, or what has ended: one sentence each. Empty when it is ready. */
  readonly reasons: readonly string[];
}

export type Readiness = () => ReadinessReport;

/** A recipe that says how it is: a registration, one of a group, a list of servers, a monitor, an expirer and so on. */
export interface WithStatus {
  readonly status: RegisterStatus | MirrorStatus;
}

/** What keeps a process from being ready. Everything else does not: what was ready once stays so while etcd is away. */
const problems: Readonly<Record<string, string>> = {
  registering: "it is not registered yet",
  passive: "it is not in the list: its health check says no, or its key belongs to another owner",
  connecting: "it has no list yet",
  failed: "it has failed",
  closed: "it is closed",
};

/**
 * Says whether a process is ready, for the handler of `/ready` or a probe: whether each of these was registered, or has
 * a list, and none has failed, was closed, or is being closed by `shutdown()`. It asks etcd nothing.
 *
 * ```ts
 * const ready = readiness(server, services);
 * http.createServer((request, response) => {
 *   const { ready: isReady, reasons } = ready();
 *   response.writeHead(isReady ? 200 : 503).end(JSON.stringify(reasons));
 * });
 * ```
 *
 * An outage of etcd after that changes nothing: a list is kept, and a registration comes back. A process that was not
 * ready then would be taken out of service together with all others, by what none of them can change.
 *
 * @param recipes what has a `status`, and clients; of a RegistrationGroup its members, of a Storage its watches
 * @throws InvalidOptionError for anything else
 */
export function readiness(...recipes: readonly (WithStatus | EtcdClient)[]): Readiness {
  for (const recipe of recipes) {
    if (recipe instanceof EtcdClient || hasStatus(recipe)) continue;
    const hint = partsHint(recipe);
    throw new InvalidOptionError(
      "readiness",
      "recipes",
      `must have a status, or be clients; one is ${shown(recipe)}${hint}`,
    );
  }
  return () => {
    const reasons = recipes.flatMap((recipe) => {
      const problem = problemOf(recipe);
      return problem === undefined ? [] : [`${nameOf(recipe)}: ${problem}`];
    });
    return { ready: reasons.length === 0, reasons };
  };
}

function hasStatus(recipe: unknown): recipe is WithStatus {
  return typeof (recipe as Partial<WithStatus> | null | undefined)?.status === "string";
}

/** For what has no status of its own, but parts that have. */
function partsHint(recipe: unknown): string {
  if (recipe instanceof RegistrationGroup) return ": give what its register() returned, or its members";
  if (recipe instanceof Storage) return ": give what its watch() returned";
  return "";
}

function problemOf(recipe: WithStatus | EtcdClient): string | undefined {
  if (recipe instanceof EtcdClient) return recipe.closed ? problems.closed : undefined;
  return isLeaving(recipe) ? "it is being closed" : problems[recipe.status];
}
