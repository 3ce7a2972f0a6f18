import { type KeyValue, prefix, Queue } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { durationText, parseDuration } from "../duration.ts";
import { CommandError, UsageError } from "../exit-codes.ts";
import { textField, timeField } from "../json-fields.ts";
import { Progress } from "../progress.ts";

/** As the queue takes it: a hundred years. */
const delayBounds = { leastMs: 0, mostMs: 100 * 365 * 86_400_000 };

interface ListedJob {
  readonly kv: KeyValue;
  readonly state: "ready" | "delayed" | "in hand";
  /** Of one that is delayed. */
  readonly notBefore?: string | undefined;
  readonly attempt: number | undefined;
  /** Undefined for what is no job: it is shown as it is. */
  readonly value: string | undefined;
}

export const queueList: Command = {
  name: "queue ls",
  arguments: ["NAME"],
  summary: "the jobs of a queue, in the order of their keys",
  async run(context) {
    const { etcd, output, call, signal } = context;
    await using queue = queueOf(context);
    const { name } = queue;
    const workers = await etcd().range(prefix(`${name}/workers/`), { keysOnly: true, ...call });
    const living = new Set(workers.kvs.map((kv) => idOf(kv, name, "workers")));
    const nowMs = Date.now();
    const jobs: ListedJob[] = [];
    for await (const kv of etcd().iterate(prefix(`${name}/jobs/`), { signal })) {
      const { value, attempt, notBefore, holder = "" } = contentOf(kv);
      // What was put only once was never claimed, whatever it says.
      const isInHand = kv.version > 1 && living.has(holder);
      const isDelayed = !isInHand && typeof notBefore === "number" && notBefore > nowMs;
      const waits = isDelayed ? ({ state: "delayed", notBefore: timeField(notBefore) } as const) : undefined;
      jobs.push({ kv, state: isInHand ? "in hand" : "ready", attempt, value, ...waits });
    }
    output.table(
      ["id", "state", "attempt", "value"],
      jobs,
      ({ kv, state, notBefore, attempt, value = kv.text }) => ({
        id: idOf(kv, name, "jobs"),
        state: notBefore === undefined ? state : `in ${durationText(Date.parse(notBefore) - nowMs)}`,
        attempt,
        value: String(value),
      }),
      ({ kv, state, notBefore, attempt, value }) => ({
        ...textField("id", kv.keyBytes.subarray(Buffer.byteLength(`${name}/jobs/`))),
        state,
        notBefore,
        attempt,
        ...(value === undefined ? textField("value", kv.value) : { value }),
      }),
    );
    return undefined;
  },
};

export const queueAdd: Command = {
  name: "queue add",
  arguments: ["NAME", "VALUE"],
  summary: "puts a job into a queue",
  options: {
    id: { type: "string", value: "ID", help: "of the caller's choosing: one that is there already is not added again" },
    delay: { type: "string", value: "TIME", help: "not before this time has passed, 0 by default" },
  },
  async run(context) {
    const [, value = ""] = context.words;
    const { id, delay } = context.options as { id?: string; delay?: string };
    await using queue = queueOf(context);
    const delayMs = delay === undefined ? undefined : parseDuration("--delay", delay, delayBounds);
    const added = await queue.enqueue(value, { id, delayMs, ...context.call });
    context.output.say(added, added.id);
    if (!added.added) context.output.note(`nothing was added: ${added.id} is in the queue, or among its dead jobs`);
    return undefined;
  },
};

export const queueDead: Command = {
  name: "queue dead",
  arguments: ["NAME"],
  summary: "the jobs of a queue that failed too often",
  async run(context) {
    await using queue = queueOf(context);
    const letters = await queue.deadLetters(context.call);
    const items = letters.map(({ id, attempts, diedAtMs, value }) => ({
      id,
      attempts,
      died: timeField(diedAtMs),
      value,
    }));
    context.output.table(["id", "attempts", "died", "value"], items, (item) => item);
    return undefined;
  },
};

export const queueRetry: Command = {
  name: "queue retry",
  arguments: ["NAME", "[ID]"],
  summary: "puts a dead job back into its queue",
  options: { all: { type: "boolean", help: "all of them" } },
  run: (context) => eachLetter(context, "put back", (queue, id, call) => queue.putBack(id, call)),
};

export const queueDiscard: Command = {
  name: "queue discard",
  arguments: ["NAME", "[ID]"],
  summary: "deletes a dead job",
  options: { all: { type: "boolean", help: "all of them" } },
  run: (context) => eachLetter(context, "discarded", (queue, id, call) => queue.discard(id, call)),
};

async function eachLetter(
  context: Context,
  done: string,
  work: (queue: Queue, id: string, call: Context["call"]) => Promise<boolean>,
): Promise<undefined> {
  const [name = "", id] = context.words;
  const { output, call, signal } = context;
  if ((id === undefined) !== (context.options.all === true)) throw new UsageError("name one job, or say --all");
  await using queue = queueOf(context);
  const ids = id === undefined ? (await queue.deadLetters(call)).map((letter) => letter.id) : [id];
  using progress = new Progress(output.json);
  let count = 0;
  for (const [at, each] of ids.entries()) {
    signal.throwIfAborted();
    progress.show(`${at} of ${ids.length}`);
    if (await work(queue, each, call)) count++;
    else if (id !== undefined) throw new CommandError(`${name} has no dead job ${id}`);
  }
  progress.clear();
  output.say({ count }, `${count} ${done}`);
  return undefined;
}

function queueOf({ words: [name = ""], etcd, output }: Context): Queue {
  const queue = new Queue(name, { client: etcd() });
  queue.on("warning", (error) => output.warning(error));
  return queue;
}

function idOf({ key }: KeyValue, name: string, room: string): string {
  return key.slice(`${name}/${room}/`.length);
}

/** What may stand in it: anyone can write there. */
interface JobContent {
  readonly value?: string;
  readonly attempt?: number;
  readonly notBefore?: unknown;
  readonly holder?: string;
}

/** @returns nothing of what is no job */
function contentOf({ text }: KeyValue): JobContent {
  try {
    const content: unknown = JSON.parse(text);
    if (typeof content === "object" && content !== null && "value" in content) return content as JobContent;
  } catch {
    // Shown as text.
  }
  return {};
}
