import { type MessageTable, repeated } from "./message-table.ts";

/**
 * The messages of the calls that go by etcd3's stubs, with the numbers of etcd's `.proto` files (api/etcdserverpb/rpc.proto,
 * etcd 3.7) and the names that etcd3's types have. A field that a server does not know yet has its default.
 */
const header: MessageTable = {
  cluster_id: [1, "uint64"],
  member_id: [2, "uint64"],
  revision: [3, "int64"],
  raft_term: [4, "uint64"],
};

export interface StubMethod {
  readonly request: MessageTable;
  readonly response: MessageTable;
}

export type ServiceName = "KV" | "Watch" | "Lease" | "Maintenance" | "Cluster" | "Auth";

/** By the names that the stubs use: `leaseGrant`, where the `.proto` file says `LeaseGrant`. */
export const stubMethods: Readonly<Partial<Record<ServiceName, Readonly<Record<string, StubMethod>>>>> = {
  KV: {
    compact: {
      request: { revision: [1, "int64"], physical: [2, "bool"] },
      response: { header: [1, header] },
    },
  },
  Lease: {
    leaseGrant: {
      request: { TTL: [1, "int64"], ID: [2, "int64"] },
      response: { header: [1, header], ID: [2, "int64"], TTL: [3, "int64"], error: [4, "string"] },
    },
    leaseRevoke: { request: { ID: [1, "int64"] }, response: { header: [1, header] } },
    leaseLeases: { request: {}, response: { header: [1, header], leases: [2, repeated({ ID: [1, "int64"] })] } },
    leaseTimeToLive: {
      request: { ID: [1, "int64"], keys: [2, "bool"] },
      response: {
        header: [1, header],
        ID: [2, "int64"],
        TTL: [3, "int64"],
        grantedTTL: [4, "int64"],
        keys: [5, repeated("bytes")],
      },
    },
  },
  Maintenance: {
    status: {
      request: {},
      response: {
        header: [1, header],
        version: [2, "string"],
        dbSize: [3, "int64"],
        leader: [4, "uint64"],
        raftIndex: [5, "uint64"],
        raftTerm: [6, "uint64"],
        raftAppliedIndex: [7, "uint64"],
        errors: [8, repeated("string")],
        dbSizeInUse: [9, "int64"],
        isLearner: [10, "bool"],
      },
    },
  },
  Auth: {
    authenticate: {
      request: { name: [1, "string"], password: [2, "string"] },
      response: { header: [1, header], token: [2, "string"] },
    },
  },
};
