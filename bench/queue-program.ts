import { type QueuePlace, queuePeers } from "./queue-peer.ts";

/** What the program is to do: it works until it gets another message. */
export interface WorkOrder extends QueuePlace {
  readonly peer: string;
  readonly workers: number;
}

let done = 0;

/** Says how many jobs were done since it said so last, once in a turn of the event loop. */
function onDone(): void {
  if (done++ > 0) return;
  setImmediate(() => {
    process.send?.(done);
    done = 0;
  });
}

process.once("message", async (order: WorkOrder) => {
  const peer = queuePeers.find(({ name }) => name === order.peer);
  const stop = await peer?.work(order, order.workers, onDone);
  process.once("message", async () => {
    await stop?.();
    process.disconnect();
  });
});

// However the bench ends.
process.once("disconnect", () => process.exit());
