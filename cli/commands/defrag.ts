import { type EtcdClient, EtcdError } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { exitCode } from "../exit-codes.ts";
import { Progress } from "../progress.ts";

const mb = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MB`;

export const defrag: Command = {
  name: "defrag",
  arguments: [],
  summary: "gives unused space back to the disk, one endpoint after the other, the leader last",
  async run(context) {
    const { etcd, output, signal } = context;
    using progress = new Progress(output.json);
    const endpoints = await inOrder(etcd(), context);
    let failed = 0;
    for (const [at, endpoint] of endpoints.entries()) {
      signal.throwIfAborted();
      progress.show(`${at + 1} of ${endpoints.length}: ${endpoint}, which answers nothing meanwhile`);
      try {
        const beforeBytes = await sizeOf(etcd(), endpoint, context);
        await etcd().maintenance.defragment({ endpoint, signal });
        const afterBytes = await sizeOf(etcd(), endpoint, context);
        progress.clear();
        output.say({ endpoint, beforeBytes, afterBytes }, `${endpoint}: ${mb(beforeBytes)}, now ${mb(afterBytes)}`);
      } catch (error) {
        // A member that is down does not keep the others from it; what this user may not do, it may do nowhere.
        if (!(error instanceof EtcdError) || !error.retryable) throw error;
        progress.clear();
        output.note(`${endpoint}: ${error.message}`);
        failed++;
      }
    }
    if (failed === endpoints.length) return exitCode.unreachable;
    return failed > 0 ? exitCode.failed : undefined;
  },
};

/** So that there is a leader all the time, and one change of it at most. */
async function inOrder(etcd: EtcdClient, { call }: Context): Promise<readonly string[]> {
  const leads = await Promise.all(
    etcd.endpoints.map(async (endpoint) => {
      const status = await etcd.maintenance.status({ endpoint, ...call }).catch(() => undefined);
      return status !== undefined && status.leaderId === status.memberId;
    }),
  );
  const isLeader = (endpoint: string) => Number(leads[etcd.endpoints.indexOf(endpoint)]);
  return [...etcd.endpoints].sort((a, b) => isLeader(a) - isLeader(b));
}

async function sizeOf(etcd: EtcdClient, endpoint: string, { call }: Context): Promise<number> {
  return (await etcd.maintenance.status({ endpoint, ...call })).dbSizeBytes;
}
