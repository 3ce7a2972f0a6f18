import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Journal } from "../../../examples/demo/journal.ts";
import { openRedis } from "../../../examples/demo/redis.ts";
import { until } from "../../support/until.ts";

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "etcd-recipes-demo-redis-"));
});
beforeEach(() => void vi.stubEnv("REDIS_URL", ""));
afterEach(() => void vi.unstubAllEnvs());
afterAll(() => rm(folder, { recursive: true }));

/** The demo finds a redis-server that does this. */
async function open(script: string) {
  await writeFile(join(folder, "redis-server"), `#!/bin/sh\n[ "$1" = --version ] && exit 0\n${script}\n`, {
    mode: 0o755,
  });
  return openRedis(new Journal(), { ...process.env, PATH: `${folder}:${process.env.PATH}` });
}

test("a redis-server that ends at once ends the demo, with what it said", async () => {
  await expect(open("echo no such option; exit 1")).rejects.toThrow("redis-server did not start: no such option");
});

test("it closes, though its shell was killed before", async () => {
  const shell = join(folder, "shell");

  const redis = await open(`echo $PPID >${shell}; echo Ready to accept connections; kill -9 $PPID`);

  const pid = Number(await readFile(shell, "utf8"));
  await until(() => !isAlive(pid));
  await redis[Symbol.asyncDispose]();
  expect(redis.url).toMatch(/^redis:/);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
