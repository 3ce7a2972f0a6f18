import { resolveClientOptions } from "../../src/client-options.ts";
import { openProtocol } from "../../src/connection/index.ts";
import { systemRuntime } from "../../src/internal/index.ts";
import { MemoryEtcd, MemoryProtocol } from "../../testing/fake-etcd/index.ts";
import { startEtcd } from "../../testing/index.ts";
import type { ContractSubject } from "./protocol-lab.ts";

/** A real etcd, and the one in memory that models and fakes stand on. */
export interface BothSubjects {
  readonly etcd: ContractSubject;
  readonly memory: ContractSubject;
  close(): Promise<void>;
}

export async function startBoth(): Promise<BothSubjects> {
  const cluster = await startEtcd();
  const options = { ...resolveClientOptions({ endpoints: [...cluster.endpoints] }), runtime: systemRuntime };
  const protocol = openProtocol(options);
  const memory = new MemoryEtcd();
  return {
    etcd: { protocol, compact: (revision) => cluster.compact(revision) },
    memory: { protocol: new MemoryProtocol(memory), compact: async (revision) => memory.compact(revision) },
    async close() {
      protocol.close();
      await cluster.close();
    },
  };
}
