import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
// V8 throws code away that did not run between five full collections. A program makes few of them; here they are forced,
// and without this each round would measure the compiler anew.
setFlagsFromString("--no-flush-bytecode");
const collect: () => void = runInNewContext("gc");

/** Leaves no garbage of one measurement to the next. */
export function collectGarbage(): void {
  collect();
  collect();
}

/** What is alive on the heap and in buffers, in bytes, after a collection. */
export async function liveBytes(): Promise<number> {
  collectGarbage();
  // What was sent lately is held by its stream for some turns of the loop.
  await sleep(50);
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
