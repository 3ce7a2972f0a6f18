import { compareLease, compareModRevision, type EtcdClient, type KeyValue, putOp } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { type DrainState, drainStateOf, withRequest } from "../drain-request.ts";
import { parseDuration } from "../duration.ts";
import { CommandError } from "../exit-codes.ts";
import { ownName } from "../hold-options.ts";

/** An owner that changes its value all the time gets in between. */
const MOST_ATTEMPTS = 50;

export const drain: Command = {
  name: "drain",
  arguments: ["KEY"],
  summary: "asks the owner of a registration to drain, and waits until it does",
  options: {
    undo: { type: "boolean", help: "it serves again" },
    by: { type: "string", value: "NAME", help: "who asks; host and process id by default" },
    wait: { type: "string", value: "TIME", help: "how long the owner has for its answer, 10s by default" },
  },
  async run(context) {
    const { words, options, output, etcd } = context;
    const [key = ""] = words;
    const draining = options.undo !== true;
    const waitMs = parseDuration("--wait", (options.wait as string | undefined) ?? "10s");
    const by = (options.by as string | undefined) ?? ownName();
    const asked = await ask(etcd(), key, { draining, by }, context);
    const state = draining ? "draining" : "serving";
    if (asked === undefined) {
      output.say({ key, draining, changed: false }, `${key} is ${state} already`);
      return undefined;
    }
    const revision = await answerOf(key, draining, asked, waitMs, context);
    output.say({ key, draining, changed: true, revision }, `${key} is ${state}`);
    return undefined;
  },
};

/** @returns the revision of the request; undefined where there is nothing to ask for */
async function ask(
  etcd: EtcdClient,
  key: string,
  { draining, by }: { draining: boolean; by: string },
  { call }: Context,
): Promise<number | undefined> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const now = await etcd.get(key, call);
    if (!now) throw new CommandError(`there is no registration ${key}`);
    const state = drainStateOf(key, now.text);
    if (state.draining === draining && !state.requested) return undefined;
    const text = withRequest(key, now.text, draining, by);
    // Only over the value that was read: whatever else its owner says meanwhile is not lost.
    const { succeeded, revision } = await etcd.txn(
      { compare: isStill(now), success: [putOp(key, text, { ignoreLease: true })] },
      call,
    );
    if (succeeded) return revision;
  }
  throw new CommandError(`${key} changes too fast: it was another one at each of ${MOST_ATTEMPTS} attempts`);
}

function isStill({ key, modRevision, lease }: KeyValue) {
  return [compareModRevision(key, "equal", modRevision), compareLease(key, "equal", lease)];
}

/** @returns the revision at which its owner made it its own */
async function answerOf(
  key: string,
  draining: boolean,
  revision: number,
  waitMs: number,
  { etcd, signal }: Context,
): Promise<number> {
  const late = AbortSignal.timeout(waitMs);
  const what = draining ? "is marked as draining" : "is marked as serving";
  try {
    const watch = etcd().watch(key, { startRevision: revision + 1, signal: AbortSignal.any([signal, late]) });
    for await (const { events } of watch) {
      for (const event of events) {
        if (event.type === "delete")
          throw new CommandError(`${key} ${what}, and is gone: its owner left, or lost its lease`);
        const state: DrainState = drainStateOf(key, event.kv.text);
        if (state.requested) continue;
        if (state.draining === draining) return event.kv.modRevision;
        throw new CommandError(
          `${key}: its owner put its own value back: it knows no such requests, or its own update() is newer`,
        );
      }
    }
  } catch (error) {
    if (!late.aborted || signal.aborted) throw error;
  }
  signal.throwIfAborted();
  throw new CommandError(
    `${key} ${what}, but its owner has not answered within ${waitMs / 1_000} s: it is so until the owner writes its value again`,
  );
}
