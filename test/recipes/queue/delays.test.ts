import { expect, test } from "vitest";
import { Queue } from "../../../recipes/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

const hourMs = 3_600_000;
const minuteMs = 60_000;

test.each(["step", "suspend"] as const)(
  "a delayed job that is due by a wall clock after a %s is taken soon",
  async (how) => {
    await using lab = new VirtualLab(`delayed ${how}`);
    const queue = new Queue("/q", { client: lab.client().etcd, ttlSeconds: 2 * 3_600 });
    lab.also(() => queue.close());
    await lab.until(queue.enqueue("v", { delayMs: hourMs }));
    const dequeued = queue.dequeue();
    await lab.pass(minuteMs);
    lab.clock[how](hourMs);
    expect(await lab.until(dequeued)).toBeLessThan(minuteMs);
    expect(await dequeued).toMatchObject({ value: "v", attempt: 1 });
  },
);
