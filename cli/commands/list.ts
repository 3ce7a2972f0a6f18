import { SubscribeService } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { withFlags } from "../library-terms.ts";
import { readyWithin } from "../ready-within.ts";

export const list: Command = {
  name: "ls",
  arguments: ["PREFIX"],
  summary: "the services registered below a prefix",
  async run({ words: [prefix = ""], etcd, output, call }) {
    await using services = new SubscribeService(prefix, { client: etcd() });
    const warnings = new Set<string>();
    services.on("warning", ({ message }) => warnings.add(message));
    await readyWithin(services.ready, etcd(), call, `list ${prefix}`);
    // Why it was never ready is in its error.
    for (const message of warnings) output.note(withFlags(message));
    const rows = services.list().map(({ id, address, weight, draining, metadata, lease, modRevision }) => ({
      id,
      address,
      weight,
      draining,
      metadata: metadata === undefined || output.json ? (metadata as string) : JSON.stringify(metadata),
      lease,
      revision: modRevision,
    }));
    output.table(["id", "address", "weight", "draining", "metadata", "lease", "revision"], rows);
    return undefined;
  },
};
