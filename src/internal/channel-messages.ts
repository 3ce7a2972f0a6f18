import type { TracedMessage } from "./channel.ts";

/** `etcd-recipes:call`: a call to etcd, from the caller's turn until it is settled. Not streams, such as watches. */
export interface CallMessage extends TracedMessage {
  /** As gRPC names it: `etcdserverpb.KV`. */
  readonly service: string;
  /** As gRPC names it: `Put`. That of the caller, also where many calls travelled as one `Txn`. */
  readonly method: string;
  /** Where it was sent last; undefined while it was sent nowhere. */
  endpoint?: string | undefined;
  /** How often it was sent. */
  attempt: number;
  /** How many calls travelled in its request, itself included. */
  batchSize: number;
  /** The gRPC status that its last attempt failed with, where there is one. */
  grpcStatus?: number | undefined;
}

/** `etcd-recipes:dial`: a connection is being made. */
export interface DialMessage extends TracedMessage {
  readonly endpoint: string;
  /** By TLS. */
  readonly secure: boolean;
}

/** `etcd-recipes:lock`: a caller waits for a `Mutex`. */
export interface LockMessage extends TracedMessage {
  readonly name: string;
  /** The fencing token of the lock; undefined while it waits, and when it did not get it. */
  token?: number | undefined;
}

/** `etcd-recipes:enqueue`: jobs are being added to a `Queue`. */
export interface EnqueueMessage extends TracedMessage {
  readonly queue: string;
  /** How many jobs. */
  readonly jobs: number;
  /**
   * What a subscriber of `start` puts here travels with the jobs, and comes with the message of each of them. At most
   * 1024 bytes as JSON; what is longer is left out.
   */
  readonly traceContext: Record<string, string>;
}

/** `etcd-recipes:job`: a worker has a job of a `Queue` in hand. */
export interface JobMessage extends TracedMessage {
  readonly queue: string;
  readonly id: string;
  /** 1 for the first worker that gets it. */
  readonly attempt: number;
  /** The object that `dequeue()` resolves with. */
  readonly job: object;
  /** What a subscriber gave when it was added. */
  readonly traceContext?: Readonly<Record<string, string>> | undefined;
  /** How it ended. */
  outcome?: "acknowledged" | "released" | "lost" | undefined;
}

/** `etcd-recipes:service-call`: a `call()` of a list of services, with all its attempts. */
export interface ServiceCallMessage extends TracedMessage {
  readonly prefix: string;
  /** How many servers were asked. */
  attempt: number;
}

/** `etcd-recipes:service-attempt`: one server is asked by a `call()`. */
export interface ServiceAttemptMessage extends TracedMessage {
  readonly prefix: string;
  /** The server's key without the prefix. */
  readonly id: string;
  readonly address: string;
  /** 1 for the first. */
  readonly attempt: number;
}

/** `etcd-recipes:lease-renewed`: etcd has answered a renewal. */
export interface LeaseRenewedMessage {
  readonly leaseId: string;
  readonly ttlSeconds: number;
  /** How long it was certain to live yet when the answer came, in milliseconds; 0: it came in the last moment. */
  readonly marginMs: number;
  /** How long it is certain to live from now on, in milliseconds. */
  readonly remainingMs: number;
  /** How long etcd took, in milliseconds. */
  readonly answerMs: number;
}

/** `etcd-recipes:lease-ended`: a lease is over for this process. */
export interface LeaseEndedMessage {
  readonly leaseId: string;
  readonly ttlSeconds: number;
  /** `revoked` by its owner; `expired`: at its end, and not to be renewed; `lost`: not renewed in time, or gone. */
  readonly how: "revoked" | "expired" | "lost";
  readonly error: Error;
}

/** `etcd-recipes:watch-batch`: a watch or a mirror got what changed, or that nothing did. */
export interface WatchBatchMessage {
  /** The key or range, as logs name it. */
  readonly range: string;
  /** The prefix, if it is one. */
  readonly prefix?: string | undefined;
  /** How many; 0: nothing happened up to `revision`. */
  readonly events: number;
  readonly revision: number;
  /** How many revisions etcd was ahead of this batch when it sent it. */
  readonly lagRevisions: number;
}

/** `etcd-recipes:resumption`: a watch or a mirror goes on where its stream had broken. */
export interface ResumptionMessage {
  readonly range: string;
  readonly prefix?: string | undefined;
  /** The last revision that it had. */
  readonly revision: number;
  /** How long nothing followed it, in milliseconds. */
  readonly downMs: number;
}

/** `etcd-recipes:mirror`: the status of a mirror, or how much it holds, has changed. */
export interface MirrorMessage {
  /** A number that only this mirror has in this process. */
  readonly id: number;
  readonly range: string;
  readonly prefix?: string | undefined;
  readonly status: "connecting" | "live" | "stale" | "failed" | "closed";
  /** How many entries. */
  readonly size: number;
  readonly revision: number;
  /** Since when nothing follows it, in milliseconds; 0 while it is live. */
  readonly staleForMs: number;
}

/** `etcd-recipes:relist`: a mirror has read its whole range. */
export interface RelistMessage {
  /** That of its `etcd-recipes:mirror` messages. */
  readonly id: number;
  readonly range: string;
  readonly prefix?: string | undefined;
  /** `first`; or what it followed was compacted, or is the history of another etcd. */
  readonly reason: "first" | "compacted" | "history-lost";
  /** How many there are. */
  readonly size: number;
  /** How many differ from what it had: put, and deleted. */
  readonly puts: number;
  readonly deletes: number;
  readonly revision: number;
}

/** `etcd-recipes:election`: a candidate of this process leads, or does not any more. */
export interface ElectionMessage {
  readonly name: string;
  readonly candidate: string;
  readonly event: "elected" | "lost" | "resigned";
  /** The fencing token of a term that begins. */
  readonly token?: number | undefined;
  /** Why it was lost. */
  readonly error?: Error | undefined;
}

/** `etcd-recipes:ejection`: a server is not chosen for a while, or is again. */
export interface EjectionMessage {
  readonly prefix: string;
  /** The server's key without the prefix. */
  readonly id: string;
  readonly address: string;
  readonly event: "ejected" | "readmitted";
  readonly reason?: "consecutive failures" | "failure rate" | undefined;
  readonly forMs?: number | undefined;
  /** The how manieth ejection in a row. */
  readonly times?: number | undefined;
}

/** `etcd-recipes:removals-held`: `maxDropRatio` keeps services in a list that are gone from etcd. */
export interface RemovalsHeldMessage {
  readonly prefix: string;
  /** How many more are held back than before. */
  readonly held: number;
  /** How many are missing, of how many. */
  readonly missing: number;
  readonly of: number;
  /** For how long, in milliseconds. */
  readonly holdMs: number;
}

/** `etcd-recipes:admission`: the number of calls of recipes has changed that wait because so many are under way. */
export interface AdmissionMessage {
  /** A number that only this client has in this process. */
  readonly client: number;
  readonly waiting: number;
  readonly underWay: number;
  /** How many may be under way at once, as etcd answers now. */
  readonly bound: number;
}

/** The messages of the tracing channels. */
export interface TracingChannelMessages {
  "etcd-recipes:call": CallMessage;
  "etcd-recipes:dial": DialMessage;
  "etcd-recipes:lock": LockMessage;
  "etcd-recipes:enqueue": EnqueueMessage;
  "etcd-recipes:job": JobMessage;
  "etcd-recipes:service-call": ServiceCallMessage;
  "etcd-recipes:service-attempt": ServiceAttemptMessage;
}

/** The messages of the plain channels. */
export interface EventChannelMessages {
  "etcd-recipes:lease-renewed": LeaseRenewedMessage;
  "etcd-recipes:lease-ended": LeaseEndedMessage;
  "etcd-recipes:watch-batch": WatchBatchMessage;
  "etcd-recipes:resumption": ResumptionMessage;
  "etcd-recipes:mirror": MirrorMessage;
  "etcd-recipes:relist": RelistMessage;
  "etcd-recipes:election": ElectionMessage;
  "etcd-recipes:ejection": EjectionMessage;
  "etcd-recipes:removals-held": RemovalsHeldMessage;
  "etcd-recipes:admission": AdmissionMessage;
}
