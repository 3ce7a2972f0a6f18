import { EtcdTimeoutError, Mutex } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { exitCode } from "../exit-codes.ts";
import { holdOptions, holdTimes, runWhileHeld } from "../hold-options.ts";

export const lock: Command = {
  name: "lock",
  arguments: ["NAME"],
  summary: "runs a command while this process has the lock; the token is in ETCD_LOCK_TOKEN",
  options: {
    ...holdOptions,
    wait: { type: "string", value: "TIME", help: "give up after this time (exit code 1); waits for ever by default" },
  },
  program: "needed",
  async run(context) {
    const { words, options, etcd, output, signal } = context;
    const [name = ""] = words;
    const { ttlSeconds, graceMs } = holdTimes(options);
    const waitMs = options.wait === undefined ? undefined : parseDuration("--wait", options.wait as string);
    await using mutex = new Mutex(name, { client: etcd(), ttlSeconds });
    mutex.on("warning", (error) => output.warning(error));
    try {
      await using held = await mutex.acquire({ signal, timeoutMs: waitMs });
      const env = { ETCD_LOCK_TOKEN: String(held.token), ETCD_LOCK_KEY: held.key };
      const code = await runWhileHeld(held, context, graceMs, env);
      if (code !== undefined) return code;
      output.note(`the lock ${name} was lost, or about to be: the command was stopped`);
      return exitCode.lost;
    } catch (error) {
      // With a cause it could not ask.
      if (!(error instanceof EtcdTimeoutError) || error.cause !== undefined) throw error;
      output.note(`another process has ${name}`);
      return exitCode.failed;
    }
  },
};
