import { Cancellation } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { printable } from "../output.ts";

export const cancel: Command = {
  name: "cancel",
  arguments: ["PREFIX", "RUN", "[REASON]"],
  summary: "cancels a run",
  async run({ words: [prefix = "", run = "", reason = ""], etcd, output, call }) {
    await using cancellation = new Cancellation(prefix, { client: etcd() });
    cancellation.on("warning", (error) => output.warning(error));
    const first = await cancellation.cancel(run, reason, call);
    output.say({ run, first }, first ? `cancelled ${printable(run)}` : `${printable(run)} was cancelled before`);
    return undefined;
  },
};
