import { type Protocol, parseEndpoints } from "./connection/index.ts";
import { InvalidOptionError } from "./errors/invalid-option-error.ts";
import { log } from "./internal/log.ts";
import type { Runtime } from "./internal/runtime.ts";
import type { Timer } from "./internal/timer.ts";
import type { CallOptions } from "./model/call-options.ts";

const debug = log("client");

/** Members come and go seldom: half to one and a half of this pass between two looks. */
const LOOK_EVERY_MS = 60_000;
/** Connections that come up together make one look. */
const LEAST_MS = 10_000;

/**
 * Makes the members' client URLs the endpoints. Left out are learners, which serve no linearizable read, members that
 * have not started, which have no URL yet, and URLs of the other scheme. Where nothing is left, or the user sets
 * endpoints meanwhile, these stay as they are.
 */
export async function followMembersOnce(protocol: Protocol, options?: CallOptions): Promise<void> {
  const { endpointsGiven } = protocol;
  const members = await protocol.admin.memberList(false, options);
  const serving = members.filter(({ isLearner }) => !isLearner).flatMap(({ clientUrls }) => clientUrls);
  const urls = serving.filter((url) => isUsable(protocol, url));
  // What the user has set meanwhile may be those of another cluster.
  if (protocol.endpointsGiven !== endpointsGiven || urls.length === 0) return;
  protocol.setEndpoints(parseEndpoints("syncEndpoints", urls), "members");
}

function isUsable(protocol: Protocol, url: string): boolean {
  try {
    const [parsed] = parseEndpoints("syncEndpoints", [url]);
    return parsed !== undefined && parsed.secure === protocol.secure;
  } catch (error) {
    if (error instanceof InvalidOptionError) return false;
    throw error;
  }
}

/**
 * Keeps the endpoints those of the members, from the first connection on. It holds no process and makes no first
 * connection.
 */
export class MemberFollower {
  readonly #protocol: Protocol;
  readonly #runtime: Runtime;
  #timer: Timer | undefined;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(protocol: Protocol, runtime: Runtime) {
    this.#protocol = protocol;
    this.#runtime = runtime;
  }

  connected(): void {
    if (this.#closed || this.#runtime.clock.monotonicMs() - this.#lookedMs < LEAST_MS) return;
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  async #look(): Promise<void> {
    const { clock, random } = this.#runtime;
    this.#lookedMs = clock.monotonicMs();
    this.#timer?.cancel();
    this.#timer = clock.timer(LOOK_EVERY_MS * (0.5 + random()), () => void this.#look()).unref();
    try {
      await followMembersOnce(this.#protocol);
    } catch (error) {
      debug("the members could not be listed: %s", error);
    }
  }
}
