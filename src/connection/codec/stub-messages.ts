import { enumOf, type MessageTable, repeated } from "./message-table.ts";

/**
 * The messages of the calls that go by etcd3's stubs, with the numbers of etcd's `.proto` files
 * (api/etcdserverpb/rpc.proto, etcd 3.7) and the names that etcd3's types have. A field that a server does not know yet
 * has its default.
 */
const header: MessageTable = {
  cluster_id: [1, "uint64"],
  member_id: [2, "uint64"],
  revision: [3, "int64"],
  raft_term: [4, "uint64"],
};

const member: MessageTable = {
  ID: [1, "uint64"],
  name: [2, "string"],
  peerURLs: [3, repeated("string")],
  clientURLs: [4, repeated("string")],
  isLearner: [5, "bool"],
};
const changedMembers = { header: [1, header], members: [2, repeated(member)] } satisfies MessageTable;

const alarmType = enumOf({ None: 0, Nospace: 1, Corrupt: 2 });
const alarmMember: MessageTable = { memberID: [1, "uint64"], alarm: [2, alarmType] };

const permission: MessageTable = {
  permType: [1, enumOf({ Read: 0, Write: 1, Readwrite: 2 })],
  key: [2, "bytes"],
  range_end: [3, "bytes"],
};

/** A call that answers with nothing but the header. */
const done = (request: MessageTable): StubMethod => ({ request, response: { header: [1, header] } });

export interface StubMethod {
  readonly request: MessageTable;
  readonly response: MessageTable;
}

export type ServiceName = "KV" | "Watch" | "Lease" | "Maintenance" | "Cluster" | "Auth";

/** By the names that the stubs use: `leaseLeases`, where the `.proto` file says `LeaseLeases`. */
export const stubMethods: Readonly<Partial<Record<ServiceName, Readonly<Record<string, StubMethod>>>>> = {
  KV: {
    compact: {
      request: { revision: [1, "int64"], physical: [2, "bool"] },
      response: { header: [1, header] },
    },
  },
  Lease: {
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
        // Since etcd 3.6.
        storageVersion: [11, "string"],
        dbSizeQuota: [12, "int64"],
        downgradeInfo: [13, { enabled: [1, "bool"], targetVersion: [2, "string"] }],
      },
    },
    alarm: {
      request: {
        action: [1, enumOf({ Get: 0, Activate: 1, Deactivate: 2 })],
        memberID: [2, "uint64"],
        alarm: [3, alarmType],
      },
      response: { header: [1, header], alarms: [2, repeated(alarmMember)] },
    },
    defragment: done({}),
    hashKV: {
      request: { revision: [1, "int64"] },
      response: {
        header: [1, header],
        hash: [2, "uint32"],
        compact_revision: [3, "int64"],
        // Since etcd 3.6.
        hash_revision: [4, "int64"],
      },
    },
    snapshot: {
      request: {},
      response: {
        header: [1, header],
        remaining_bytes: [2, "uint64"],
        blob: [3, "bytes"],
        // Since etcd 3.6.
        version: [4, "string"],
      },
    },
    moveLeader: done({ targetID: [1, "uint64"] }),
    downgrade: {
      request: { action: [1, enumOf({ Validate: 0, Enable: 1, Cancel: 2 })], version: [2, "string"] },
      response: { header: [1, header], version: [2, "string"] },
    },
  },
  Cluster: {
    memberAdd: {
      request: { peerURLs: [1, repeated("string")], isLearner: [2, "bool"] },
      response: { header: [1, header], member: [2, member], members: [3, repeated(member)] },
    },
    memberRemove: { request: { ID: [1, "uint64"] }, response: changedMembers },
    memberUpdate: { request: { ID: [1, "uint64"], peerURLs: [2, repeated("string")] }, response: changedMembers },
    memberList: { request: { linearizable: [1, "bool"] }, response: changedMembers },
    memberPromote: { request: { ID: [1, "uint64"] }, response: changedMembers },
  },
  Auth: {
    authEnable: done({}),
    authDisable: done({}),
    authStatus: {
      request: {},
      response: { header: [1, header], enabled: [2, "bool"], authRevision: [3, "uint64"] },
    },
    userAdd: done({ name: [1, "string"], password: [2, "string"], options: [3, { no_password: [1, "bool"] }] }),
    userGet: { request: { name: [1, "string"] }, response: { header: [1, header], roles: [2, repeated("string")] } },
    userList: { request: {}, response: { header: [1, header], users: [2, repeated("string")] } },
    userDelete: done({ name: [1, "string"] }),
    userChangePassword: done({ name: [1, "string"], password: [2, "string"] }),
    userGrantRole: done({ user: [1, "string"], role: [2, "string"] }),
    userRevokeRole: done({ name: [1, "string"], role: [2, "string"] }),
    roleAdd: done({ name: [1, "string"] }),
    roleGet: { request: { role: [1, "string"] }, response: { header: [1, header], perm: [2, repeated(permission)] } },
    roleList: { request: {}, response: { header: [1, header], roles: [2, repeated("string")] } },
    roleDelete: done({ role: [1, "string"] }),
    roleGrantPermission: done({ name: [1, "string"], perm: [2, permission] }),
    roleRevokePermission: done({ role: [1, "string"], key: [2, "bytes"], range_end: [3, "bytes"] }),
    authenticate: {
      request: { name: [1, "string"], password: [2, "string"] },
      response: { header: [1, header], token: [2, "string"] },
    },
  },
};
