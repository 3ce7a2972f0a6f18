import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "../../testing/clean-environment.ts";
import { releasePorts, takePort } from "../../testing/free-ports.ts";
import { findEtcd } from "../../testing/index.ts";
import { until } from "./until.ts";

/** `etcd grpc-proxy start` before some endpoints: it puts many clients' watches and leases on few streams, and answers reads itself. */
export interface GrpcProxy extends AsyncDisposable {
  readonly endpoint: string;
}

export async function startGrpcProxy(endpoints: readonly string[], flags: readonly string[] = []): Promise<GrpcProxy> {
  const { path } = await findEtcd();
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-grpc-proxy-"));
  const port = await takePort();
  const address = `127.0.0.1:${port}`;
  const args = [
    ...["grpc-proxy", "start", `--endpoints=${endpoints.join()}`, `--listen-addr=${address}`],
    ...[`--advertise-client-url=${address}`, `--data-dir=${folder}`, ...flags],
  ];
  // The shell kills it when its own input ends: when this process closes it, or dies, however.
  const keeper = spawn("sh", ["-c", '"$@" & cat >/dev/null; kill -9 $!', "sh", path, ...args], {
    env: cleanEnvironment(process.env),
    stdio: ["pipe", "ignore", "ignore"],
  });
  const closed = once(keeper, "close");
  const proxy: GrpcProxy = {
    endpoint: `http://${address}`,
    async [Symbol.asyncDispose]() {
      keeper.stdin.end();
      await closed;
      releasePorts([port]);
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    // With authentication it says that it is ill: it has no user of its own.
    await until(() => fetch(`http://${address}/health`), { message: "the grpc-proxy serves" });
  } catch (error) {
    await proxy[Symbol.asyncDispose]();
    throw error;
  }
  return proxy;
}
