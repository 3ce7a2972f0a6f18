import { SubscribeService } from "../../recipes/index.ts";
import type { Command } from "../command.ts";
import { readyWithin } from "../ready-within.ts";

/** Of the keys that cannot be read: enough to see who writes them. */
const MOST_NAMED = 3;

export const list: Command = {
  name: "ls",
  arguments: ["PREFIX"],
  summary: "the services registered below a prefix",
  async run({ words: [prefix = ""], etcd, output, call }) {
    await using services = new SubscribeService(prefix, { client: etcd() });
    const warnings = new Map<string, Error>();
    const unreadable: string[] = [];
    services.on("warning", (error) => warnings.set(error.message, error));
    services.on("invalid", (key) => unreadable.push(key));
    await readyWithin(services.ready, etcd(), call, `list ${prefix}`);
    // Why it was never ready is in its error.
    for (const error of warnings.values()) output.warning(error);
    const items = services.list().map(({ id, address, weight, draining, metadata, lease, modRevision }) => ({
      id,
      address,
      weight,
      draining,
      metadata,
      lease,
      revision: modRevision,
    }));
    output.table(["id", "address", "weight", "draining", "metadata", "lease", "revision"], items, (item) => ({
      ...item,
      metadata: JSON.stringify(item.metadata),
    }));
    const count = items.length + unreadable.length;
    const those = unreadable.slice(0, MOST_NAMED).join(", ") + (unreadable.length > MOST_NAMED ? ", …" : "");
    if (unreadable.length > 0)
      output.note(`${unreadable.length} of ${count} keys below ${services.prefix} cannot be read: ${those}`);
    return undefined;
  },
};
