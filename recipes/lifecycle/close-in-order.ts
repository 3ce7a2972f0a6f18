import { asError, type Clock } from "../../src/internal/index.ts";
import { endConnectionsWithAnswers, finishServer } from "./finish-server.ts";
import { nameOf } from "./name-of.ts";
import type { ResolvedShutdown } from "./shutdown-options.ts";
import type { Stages } from "./stages.ts";

/** Requests get this share of the time that is left when draining is over; what they hold is given back in the rest. */
const SHARE_OF_REQUESTS = 3 / 4;

/** Closes one stage after the other, and servers after what is listed. It never rejects. */
export async function closeInOrder(
  { servers, drainMs, timeoutMs }: Pick<ResolvedShutdown, "servers" | "drainMs" | "timeoutMs">,
  { listed, held, followed, clients }: Stages,
  clock: Clock,
  failed: (failure: string) => void,
): Promise<void> {
  const endMs = clock.monotonicMs() + timeoutMs;
  for (const server of servers) endConnectionsWithAnswers(server);
  await all(listed, failed, (recipe) => recipe.close({ drainMs }));
  const limitMs = Math.max(0, endMs - clock.monotonicMs()) * SHARE_OF_REQUESTS;
  await all(servers, failed, async (server) => {
    if (!(await finishServer(server, clock, limitMs))) failed(`${nameOf(server)}: requests did not end in time`);
  });
  for (const stage of [held, followed, clients]) await all(stage, failed, (recipe) => recipe.close());
}

/** Does it for all at the same time; one that fails holds up no other. */
async function all<T extends object>(
  items: readonly T[],
  failed: (failure: string) => void,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const closing = items.map(async (item) => {
    try {
      await work(item);
    } catch (error) {
      failed(`${nameOf(item)}: ${asError(error).message}`);
    }
  });
  await Promise.all(closing);
}
