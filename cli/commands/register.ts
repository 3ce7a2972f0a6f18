import { ConflictError, ServiceRegister } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { parseDuration, parseTtlSeconds } from "../duration.ts";
import { UsageError } from "../exit-codes.ts";
import { runGuarded } from "../guarded-program.ts";

export const register: Command = {
  name: "register",
  arguments: ["KEY", "ADDRESS"],
  summary: "registers a service for as long as a command runs",
  options: {
    ttl: { type: "string", value: "TIME", help: "of the lease, 5s by default" },
    weight: { type: "string", value: "N", help: "its share of the load, 1 by default" },
    metadata: { type: "string", value: "JSON", help: 'an object, such as {"zone":"eu-1"}' },
    health: { type: "string", value: "URL", help: "listed only while this answers 2xx" },
    drain: { type: "string", value: "TIME", help: "how long it is listed as draining before it leaves, 0 by default" },
    grace: { type: "string", value: "TIME", help: "how long the command has from SIGTERM to SIGKILL, 10s by default" },
  },
  program: "needed",
  async run({ words: [key = "", address = ""], program, options, etcd, output, signal }) {
    const { ttl = "5s", weight, metadata, health, drain, grace = "10s" } = options as Record<string, string>;
    const drainMs = drain === undefined ? 0 : parseDuration("--drain", drain, { leastMs: 0 });
    const graceMs = parseDuration("--grace", grace);
    // A URL may answer 503 and 500 in turn, each second.
    const problems = new Set<string>();
    const noteProblem = (text: string) => {
      if (!problems.has(text)) output.note(text);
      problems.add(text);
    };
    const server = new ServiceRegister(key, address, parseTtlSeconds("--ttl", ttl), {
      client: etcd(),
      // The plain format has no word for draining.
      ...(drain !== undefined && { format: "endpoint" }),
      ...(weight !== undefined && { weight: weightOf(weight) }),
      ...(metadata !== undefined && { metadata: objectOf(metadata) }),
      ...(health !== undefined && { health: healthOf(health, noteProblem) }),
    });
    const stop = new AbortController();
    let leaving = false;
    server.on("warning", (error) => output.warning(error));
    server.on("registered", () => {
      problems.clear();
      output.note(`registered ${key} at ${address}`);
    });
    server.on("lost", (error) => {
      if (!(error instanceof ConflictError)) output.note(`${error.message}: registering it again`);
    });
    server.on("conflict", ({ owner: { lease } }) => {
      const whose = lease === undefined ? "" : `, on lease ${lease}`;
      output.note(`${key} belongs to another owner${whose}: it is registered again when the key is free`);
    });
    server.on("status", (status) => {
      if (status === "passive" && !(server.lastError instanceof ConflictError))
        output.note(`${key} is not listed until its health check succeeds`);
    });
    server.on("drain", ({ draining, by }) => output.note(`${draining ? "draining" : "no longer draining"}, for ${by}`));
    let failure: unknown;
    server.ready.catch((error: unknown) => {
      // To leave before it was registered is no failure.
      if (leaving) output.note(`left before ${key} was registered`);
      else failure = error;
      stop.abort();
    });
    const leave = async () => {
      leaving = true;
      await server.close({ drainMs });
      stop.abort();
    };
    signal.addEventListener("abort", () => void leave(), { once: true });
    const { code } = await runGuarded(program, { stop: stop.signal, graceMs });
    leaving = true;
    await server.close();
    if (failure !== undefined) throw failure;
    return code;
  },
};

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new UsageError(`--metadata is a JSON object, not "${text}"`);
}

function weightOf(text: string): number {
  const weight = Number(text);
  if (text.trim() === "" || !Number.isFinite(weight)) throw new UsageError(`--weight is a number, not "${text}"`);
  if (weight < 0) throw new UsageError(`--weight is at least 0, not "${text}"`);
  return weight;
}

/**
 * @param onProblem called for each answer that is no 2xx, and where there is none
 * @throws UsageError for what cannot be fetched
 */
function healthOf(text: string, onProblem: (problem: string) => void): (during: AbortSignal) => Promise<boolean> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username + url.password !== "") {
    throw new UsageError(`--health is a URL of http:// or https:// without a user, not "${text}"`);
  }
  return async (signal) => {
    const problem = await problemOf(url, signal);
    if (problem !== undefined) onProblem(problem);
    return problem === undefined;
  };
}

/** @returns undefined when it answers 2xx */
async function problemOf(url: URL, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { ok, status } = await fetch(url, { signal });
    return ok ? undefined : `${url} answered ${status}`;
  } catch (error) {
    signal.throwIfAborted();
    // Of its own, `fetch` says no more than "fetch failed".
    const { cause, message } = error as Error;
    return `${url} does not answer: ${cause instanceof Error ? causeText(cause) : message}`;
  }
}

/** Of a host with several addresses, none of which answered, there is only a code. */
function causeText({ message, code }: NodeJS.ErrnoException): string {
  return message || String(code);
}
