import { LeaderElection, type Term } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { holdOptions, holdTimes, ownName, runWhileHeld } from "../hold-options.ts";

export const elect: Command = {
  name: "elect",
  arguments: ["NAME"],
  summary: "runs a command whenever this process leads; the token is in ETCD_TERM_TOKEN",
  options: {
    ...holdOptions,
    candidate: { type: "string", value: "TEXT", help: "who this is, for the others; host and process id by default" },
  },
  program: "needed",
  async run(context) {
    const { words, options, etcd, output, signal } = context;
    const [name = ""] = words;
    const { ttlSeconds, graceMs } = holdTimes(options);
    const candidate = (options.candidate as string | undefined) ?? ownName();
    await using election = new LeaderElection(name, candidate, {
      client: etcd(),
      ttlSeconds,
      // As for a lock. By default it is half of the TTL, and the lease could come near the grace before each renewal.
      renewEverySeconds: ttlSeconds / 3,
    });
    election.on("warning", (error) => output.warning(error));
    // Of the command that the user's signal stopped. One that ended before was followed by another campaign.
    let stoppedCode: number | undefined;
    const work = async (term: Term) => {
      output.note(`leads ${name}, token ${term.token}`);
      const env = { ETCD_TERM_TOKEN: String(term.token), ETCD_TERM_KEY: term.key };
      const code = await runWhileHeld(term, context, graceMs, env);
      if (signal.aborted) stoppedCode = code;
      if (code === undefined) output.note(`the term of ${name} is over`);
      return code;
    };
    try {
      for (;;) {
        const code = await election.lead(work, { signal });
        // A term that was about to be lost: it has resigned, and campaigns again.
        if (code !== undefined) return code;
      }
    } catch (error) {
      if (stoppedCode !== undefined) return stoppedCode;
      throw error;
    }
  },
};
