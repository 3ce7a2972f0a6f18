import { once } from "node:events";
import { createServer } from "node:net";
import { threadId } from "node:worker_threads";

// Below the ports that the kernel gives to outgoing connections (from 32768 on Linux, 49152 on macOS). One of those
// can be taken by any connection while its owner is down, even by a client that dials just that port: it connects to itself.
const firstPort = 12_000;
const slices = 200;
const sliceSize = 100;

// Processes that run side by side have pids close to each other, so each takes its ports from a slice of its own;
// so does each of their worker threads, which know nothing of each other.
const start = firstPort + ((process.pid + 61 * threadId) % slices) * sliceSize;
const taken = new Set<number>();
let next = 0;

/** Takes a port of 127.0.0.1 that nobody listens on. It stays this process's until {@link releasePorts}. */
export async function takePort(): Promise<number> {
  for (let attempt = 0; attempt < sliceSize; attempt++) {
    const port = start + (next++ % sliceSize);
    if (taken.has(port)) continue;
    taken.add(port);
    if (await isFree(port)) return port;
    taken.delete(port);
  }
  throw new Error(`no free port on 127.0.0.1 between ${start} and ${start + sliceSize - 1}`);
}

export async function takePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) ports.push(await takePort());
  return ports;
}

export function releasePorts(ports: readonly number[]): void {
  for (const port of ports) taken.delete(port);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}
