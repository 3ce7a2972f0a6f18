import { SubscribeService } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { readyWithin } from "../ready-within.ts";

export const list: Command = {
  name: "ls",
  arguments: ["PREFIX"],
  summary: "the services registered below a prefix",
  async run({ words: [prefix = ""], etcd, output, timeoutMs, signal }) {
    await using services = new SubscribeService(prefix, { client: etcd() });
    services.on("warning", (error) => output.note(error.message));
    await readyWithin(services.ready, timeoutMs, signal, `list ${prefix}`);
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
