import type { Command } from "../command.ts";
import { printable } from "../output.ts";
import { Progress } from "../progress.ts";

const mb = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`;

export const snapshot: Command = {
  name: "snapshot",
  arguments: ["FILE"],
  summary: "saves all that etcd has to a file, whole or not at all",
  async run({ words: [file = ""], etcd, output, signal }) {
    using progress = new Progress(output.json);
    const saved = await etcd().maintenance.snapshot(file, {
      signal,
      onProgress({ writtenBytes, totalBytes }) {
        progress.show(`${mb(writtenBytes)} of ${mb(totalBytes)}`);
      },
    });
    progress.clear();
    output.say({ file, ...saved }, `${printable(file)}: ${mb(saved.bytes)}, sha256 ${saved.sha256}`);
    return undefined;
  },
};
