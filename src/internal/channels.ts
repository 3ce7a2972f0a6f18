import { EventChannel, TraceChannel } from "./channel.ts";
import type { EventChannelMessages, TracingChannelMessages } from "./channel-messages.ts";

const traced = <Name extends keyof TracingChannelMessages>(name: Name) =>
  new TraceChannel<TracingChannelMessages[Name]>(name);
const event = <Name extends keyof EventChannelMessages>(name: Name) =>
  new EventChannel<EventChannelMessages[Name]>(name);

/**
 * Every channel of `node:diagnostics_channel` that this library publishes on. Their names and messages are a part of
 * its API, listed in docs/reference/channels.md.
 */
export const channels = {
  calls: traced("etcd-recipes:call"),
  dials: traced("etcd-recipes:dial"),
  locks: traced("etcd-recipes:lock"),
  enqueues: traced("etcd-recipes:enqueue"),
  jobs: traced("etcd-recipes:job"),
  serviceCalls: traced("etcd-recipes:service-call"),
  serviceAttempts: traced("etcd-recipes:service-attempt"),
  leaseRenewed: event("etcd-recipes:lease-renewed"),
  leaseEnded: event("etcd-recipes:lease-ended"),
  watchBatches: event("etcd-recipes:watch-batch"),
  resumptions: event("etcd-recipes:resumption"),
  mirrors: event("etcd-recipes:mirror"),
  relists: event("etcd-recipes:relist"),
  elections: event("etcd-recipes:election"),
  ejections: event("etcd-recipes:ejection"),
  removalsHeld: event("etcd-recipes:removals-held"),
  admission: event("etcd-recipes:admission"),
} as const;
