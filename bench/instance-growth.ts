import { EtcdClient, SubscribeService } from "etcd-recipes";
import type { ChangeWriter, Order } from "./change-writer.ts";
import { liveBytes } from "./heap.ts";
import { below, fill, instanceKey, instanceValue } from "./instances.ts";
import { type Sample, stopwatch } from "./measure.ts";

export type InstanceFigure =
  | "listMs"
  | "listCpuMs"
  | "bytesBeyondEach"
  | "eventCpuUs"
  | "pickCpuUs"
  | "aloneCpuUs"
  | "copiedCpuUs";

/** Changes that come as fast as etcd takes them, a hundred at once. */
const burst = { changes: 8_000, together: 100, everyMs: 0 };
/** Changes that come one after the other, each in a batch of its own. */
const alone = { changes: 100, together: 1, everyMs: 25 };

/**
 * What a list of `size` instances takes, and what one changed instance costs, in CPU of this process, which does not
 * write:
 *
 * - `eventCpuUs`: one of a burst, reported by `put`
 * - `pickCpuUs`: the same, and a `pick()` after each
 * - `aloneCpuUs`: one that comes alone, so that it is also a message, a wake-up and a batch; reported by `put`, and a
 * `pick()`
 * - `copiedCpuUs`: the same, and reported by `change` to a listener that reads the list: it is made
 */
export async function growInstances(
  endpoints: readonly string[],
  writer: ChangeWriter,
  size: number,
): Promise<Sample<InstanceFigure>> {
  await using client = new EtcdClient({ endpoints });
  await fill(client, size);
  const bytesBefore = await liveBytes();
  const listing = stopwatch();
  const services = new SubscribeService(below, { client });
  await services.ready;
  const { tookMs: listMs, cpuMs: listCpuMs } = listing();
  const bytesEach = ((await liveBytes()) - bytesBefore) / size;

  const cpuUsEach = async (of: Pick<Order, "changes" | "together" | "everyMs">) => {
    const received = putsOf(services, of.changes);
    const read = stopwatch();
    await writer.write({ endpoints, size, ...of });
    await received;
    return (read().cpuMs * 1e3) / of.changes;
  };
  // A warm-up of what is reported first.
  await cpuUsEach(burst);
  const eventCpuUs = await cpuUsEach(burst);
  services.on("put", () => services.pick());
  const pickCpuUs = await cpuUsEach(burst);
  const aloneCpuUs = await cpuUsEach(alone);
  services.on("change", (list) => list.length);
  const copiedCpuUs = await cpuUsEach(alone);
  await services.close();
  const bytesBeyondEach = bytesEach - instanceKey(size - 1).length - instanceValue(size - 1, "a").length;
  return { listMs, listCpuMs, bytesBeyondEach, eventCpuUs, pickCpuUs, aloneCpuUs, copiedCpuUs };
}

/** Resolves after so many `put` events. */
function putsOf(services: SubscribeService, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const onPut = () => {
      if (--left > 0) return;
      services.off("put", onPut);
      resolve();
    };
    services.on("put", onPut);
  });
}
