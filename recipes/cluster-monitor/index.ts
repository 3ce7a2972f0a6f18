export {
  ClusterMonitor,
  type ClusterMonitorEvents,
  type ClusterMonitorStatus,
} from "./cluster-monitor.ts";
export type { ClusterNode } from "./cluster-node.ts";
export type { Membership } from "./membership.ts";
export type { ClusterMonitorOptions } from "./options.ts";
