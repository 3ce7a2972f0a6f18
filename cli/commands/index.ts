import type { Command } from "../command.ts";
import { cacheList } from "./cache.ts";
import { cancel } from "./cancel.ts";
import { confirmApprove, confirmList, confirmReject } from "./confirm.ts";
import { defrag } from "./defrag.ts";
import { doctor } from "./doctor.ts";
import { drain } from "./drain.ts";
import { elect } from "./elect.ts";
import { etcdRun } from "./etcd-run.ts";
import { leader } from "./leader.ts";
import { list } from "./list.ts";
import { lock } from "./lock.ts";
import { queueAdd, queueDead, queueDiscard, queueList, queueRetry } from "./queue.ts";
import { register } from "./register.ts";
import { snapshot } from "./snapshot.ts";
import { top } from "./top.ts";
import { watch } from "./watch.ts";

/** The commands, in the order of the help. */
export const ofEtcd: readonly Command[] = [
  list,
  watch,
  register,
  drain,
  elect,
  leader,
  lock,
  queueList,
  queueAdd,
  queueDead,
  queueRetry,
  queueDiscard,
  cacheList,
  cancel,
  confirmList,
  confirmApprove,
  confirmReject,
  top,
  doctor,
  snapshot,
  defrag,
  etcdRun,
];
