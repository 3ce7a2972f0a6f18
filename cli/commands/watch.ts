import { spawn } from "node:child_process";
import { once } from "node:events";
import { prefix, type WatchEvent } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { wholeNumber } from "../duration.ts";
import { printable } from "../output.ts";
import { readyWithin } from "../ready-within.ts";

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
  async run({ words: [given = ""], options, etcd, output, signal, timeoutMs }) {
    const { exec, revision } = options as { exec?: string; revision?: string };
    const startRevision = revision === undefined ? undefined : wholeNumber("--revision", revision, 1);
    const watch = etcd().watch(prefix(given), { signal, startRevision });
    await readyWithin(watch.ready, timeoutMs, signal, `watch ${given}`);
    for await (const { events } of watch) {
      for (const event of events) {
        if (exec === undefined) show(event);
        else await run(exec, event);
      }
    }
    return undefined;

    function show({ type, kv: { key, text, modRevision: at } }: WatchEvent): void {
      const value = type === "put" ? { value: text } : {};
      const line = [type.padEnd(6), printable(key), ...(type === "put" ? [printable(text)] : [])].join(" ");
      output.say({ type, key, ...value, revision: at }, line);
    }

    async function run(script: string, { type, kv }: WatchEvent): Promise<void> {
      const event = {
        ETCD_EVENT_TYPE: type,
        ETCD_EVENT_KEY: kv.key,
        ETCD_EVENT_VALUE: type === "put" ? kv.text : "",
        ETCD_EVENT_REVISION: String(kv.modRevision),
      };
      const child = spawn("sh", ["-c", script], { stdio: "inherit", env: { ...process.env, ...event } });
      const [code, by] = await once(child, "exit");
      if (code !== 0) output.note(`${script} ended with ${code ?? by} for ${kv.key}`);
    }
  },
};
