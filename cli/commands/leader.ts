import { LeaderElection, type LeaderInfo } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { exitCode } from "../exit-codes.ts";
import { ownName } from "../hold-options.ts";
import { printable } from "../output.ts";

export const leader: Command = {
  name: "leader",
  arguments: ["NAME"],
  summary: "who leads, and who waits; exit code 1 where there is no leader",
  options: { watch: { type: "boolean", help: "go on, with a line for each change" } },
  async run({ words: [name = ""], options, etcd, output, signal, call }) {
    await using election = new LeaderElection(name, ownName(), { client: etcd() });
    const candidates = await election.candidates(call);
    if (options.watch) {
      for await (const now of election.observe({ signal })) {
        output.say(now ? shown(now) : null, now ? `${printable(now.candidate)}  token ${now.token}` : "no leader");
      }
      return undefined;
    }
    output.table(
      ["place", "candidate", "token", "key"],
      candidates.map((candidate, at) => ({ place: at === 0 ? "leads" : at, ...shown(candidate) })),
      (row) => row,
    );
    return candidates.length > 0 ? undefined : exitCode.failed;
  },
};

const shown = ({ candidate, token, key }: LeaderInfo) => ({ candidate, token, key });
