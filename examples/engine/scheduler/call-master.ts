import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { InvalidOptionError, type ServiceInstance, type SubscribeService } from "etcd-recipes";
import { LinkedSignal } from "../shared/linked-signal.ts";
import type { Task, TaskResult } from "../tasks/task.ts";

export interface CallMasterOptions {
  /** How many masters are tried. */
  readonly attempts: number;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** No master has begun the task, for certain: none was there, none could be reached, or they were all draining. */
export class NotBegunError extends Error {
  override readonly name = "NotBegunError";
}

/**
 * Has one of the masters do a task. A failure of the task itself is a result: another master would come to the same.
 *
 * @throws NotBegunError; what the last master failed with, when one of those that were tried may have begun it; what
 *   ended the list of masters; InvalidOptionError; `signal.reason`
 */
export async function callMaster(
  services: SubscribeService,
  task: Task,
  options: CallMasterOptions,
): Promise<TaskResult> {
  // Of all attempts: a task that ends a master is refused by that master's port when it is tried there again.
  const begun = new Set<ClientRequest>();
  try {
    return await services.call(
      (master, signal) => whileListed(services, master, signal, (it) => post(master, task, it, begun)),
      // The key: one project's tasks go to the same master, if the balancer looks at keys, and find its cache there.
      { ...options, key: task.project },
    );
  } catch (error) {
    options.signal.throwIfAborted();
    if (begun.size > 0 || services.status === "failed" || error instanceof InvalidOptionError) throw error;
    throw new NotBegunError((error as Error).message, { cause: error });
  }
}

/** A master that is frozen, or cut off, never answers: that its registration ends is how one hears of it. */
async function whileListed<T>(
  services: SubscribeService,
  master: ServiceInstance,
  signal: AbortSignal,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const gone = new AbortController();
  const isGone = (list: readonly ServiceInstance[]) =>
    // A successor under its key may have put over it.
    !list.some(({ key, address, createRevision }) => {
      return key === master.key && createRevision === master.createRevision && address === master.address;
    });
  services.until(isGone, { signal: over.signal }).then(
    () => gone.abort(new Error(`${master.id} is no longer listed`)),
    () => {},
  );
  using either = new LinkedSignal(signal, gone.signal);
  try {
    return await action(either.signal);
  } catch (error) {
    throw gone.signal.aborted ? gone.signal.reason : error;
  } finally {
    over.abort();
  }
}

/**
 * Not by fetch(), which gives up on an answer after five minutes.
 *
 * @param begun gets the request when the master may have begun the task
 */
async function post(
  { id, address }: ServiceInstance,
  task: Task,
  signal: AbortSignal,
  begun: Set<ClientRequest>,
): Promise<TaskResult> {
  const sending = request(`http://${address}/run`, { method: "POST", agent: false, signal });
  // The caller gets it below; after the answer has begun nothing listens here, and an error would end the process.
  sending.on("error", () => {});
  sending.on("socket", (socket) => socket.on("connect", () => begun.add(sending)));
  sending.end(JSON.stringify(task));
  const [response] = (await once(sending, "response")) as [IncomingMessage];
  if (response.statusCode === 503) begun.delete(sending);
  const body = await json(response);
  if (response.statusCode === 200) return body as TaskResult;
  throw new Error(`${id} answers ${response.statusCode}: ${(body as { reason?: string }).reason}`);
}
