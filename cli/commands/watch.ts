import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { prefix, type WatchEvent } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { wholeNumber } from "../duration.ts";
import { textField } from "../json-fields.ts";
import { printable } from "../output.ts";
import { readyWithin } from "../ready-within.ts";

/** What of an event no environment can hold. The system's own message has the value in it. */
const unfit: Readonly<Record<string, string>> = {
  ERR_INVALID_ARG_VALUE: "its key or value has a NUL byte, which no environment variable can hold",
  E2BIG: "its key or value is too long for an environment variable",
};

export const watch: Command = {
  name: "watch",
  arguments: ["PREFIX"],
  summary: "what is put and deleted below a prefix, from now on",
  options: {
    exec: {
      type: "string",
      value: "COMMAND",
      help: "run by sh for each event, one after the other, with ETCD_EVENT_TYPE, _KEY, _VALUE, _REVISION",
    },
    revision: { type: "string", value: "N", help: "begin at this revision" },
  },
  async run({ words: [given = ""], options, etcd, output, signal, call }) {
    const { exec, revision } = options as { exec?: string; revision?: string };
    const startRevision = revision === undefined ? undefined : wholeNumber("--revision", revision, 1);
    const watch = etcd().watch(prefix(given), { signal, startRevision });
    await readyWithin(watch.ready, etcd(), call, `watch ${given}`);
    for await (const { events } of watch) {
      for (const event of events) {
        // One message can bring a thousand of them.
        signal.throwIfAborted();
        if (exec === undefined) show(event);
        else await run(exec, event);
      }
    }
    return undefined;

    function show({ type, kv: { key, keyBytes, value, text, modRevision: at } }: WatchEvent): void {
      const line = [type.padEnd(6), printable(key), ...(type === "put" ? [printable(text)] : [])].join(" ");
      const stored = type === "put" ? textField("value", value) : {};
      output.say({ type, ...textField("key", keyBytes), ...stored, revision: at }, line);
    }

    async function run(script: string, { type, kv }: WatchEvent): Promise<void> {
      const isPut = type === "put";
      const event = {
        ETCD_EVENT_TYPE: type,
        ETCD_EVENT_KEY: kv.key,
        ETCD_EVENT_VALUE: isPut ? kv.text : "",
        ETCD_EVENT_REVISION: String(kv.modRevision),
        // Undefined where it is text: then there is no such variable.
        ETCD_EVENT_KEY_BASE64: textField("key", kv.keyBytes).keyBase64,
        ETCD_EVENT_VALUE_BASE64: isPut ? textField("value", kv.value).valueBase64 : undefined,
      };
      let child: ChildProcess;
      try {
        child = spawn("sh", ["-c", script], { stdio: "inherit", env: { ...process.env, ...event } });
      } catch (error) {
        const problem = unfit[(error as NodeJS.ErrnoException).code ?? ""];
        if (problem === undefined) throw error;
        output.note(`${script} was not run for ${kv.key}: ${problem}`);
        return;
      }
      const [code, by] = await once(child, "exit");
      if (code !== 0) output.note(`${script} ended with ${code ?? by} for ${kv.key}`);
    }
  },
};
