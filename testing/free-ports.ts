import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { threadId } from "node:worker_threads";

// Below the ports that the kernel gives to outgoing connections (from 32768 on Linux, 49152 on macOS). One of those can
// be taken by any connection while its owner is down, even by a client that dials just that port: it connects to
// itself.
const firstPort = 12_000;
const slices = 200;
const sliceSize = 100;

// Each process takes its ports from a slice of its own, and so does each of its worker threads, which know nothing of
// each other: a port must stay free for its owner while a member or a proxy is down. The process that listens on the
// first port of a slice has it.
let slice: Promise<number> | undefined;
const taken = new Set<number>();
let next = 0;

async function takeSlice(): Promise<number> {
  const wanted = process.pid + 61 * threadId;
  for (let attempt = 0; attempt < slices; attempt++) {
    const start = firstPort + ((wanted + attempt) % slices) * sliceSize;
    const lock = await listen(start);
    if (lock === undefined) continue;
    // It is held as long as the process lives, and does not keep it from ending.
    lock.unref();
    return start;
  }
  throw new Error(`no free ports on 127.0.0.1 between ${firstPort} and ${firstPort + slices * sliceSize - 1}`);
}

/** Takes a port of 127.0.0.1 that is free. It stays this process's until {@link releasePorts}. */
export async function takePort(): Promise<number> {
  slice ??= takeSlice();
  const start = await slice;
  for (let attempt = 1; attempt < sliceSize; attempt++) {
    const port = start + 1 + (next++ % (sliceSize - 1));
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
  const server = await listen(port);
  if (server === undefined) return false;
  server.close();
  await once(server, "close");
  return true;
}

/** Undefined when a program listens there already. */
async function listen(port: number): Promise<Server | undefined> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
    return server;
  } catch {
    return undefined;
  }
}
