import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "../../../testing/clean-environment.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { findEtcd } from "../../../testing/index.ts";
import { until } from "../until.ts";
import type { EtcdProxy } from "./etcd-proxy.ts";
import { ProgramProxy } from "./program-proxy.ts";

/**
 * `etcd grpc-proxy start` before some endpoints: it puts many clients' watches and leases on few streams, and answers
 * reads itself.
 */
export async function startGrpcProxy(endpoints: readonly string[], flags: readonly string[] = []): Promise<EtcdProxy> {
  const { path } = await findEtcd();
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-grpc-proxy-"));
  const port = await takePort();
  const address = `127.0.0.1:${port}`;
  const proxy = await ProgramProxy.start({
    program: { path, env: cleanEnvironment(process.env) },
    args: [
      ...["grpc-proxy", "start", `--endpoints=${endpoints.join()}`, `--listen-addr=${address}`],
      ...[`--advertise-client-url=${address}`, `--data-dir=${folder}`, ...flags],
    ],
    folder,
    port,
  });
  try {
    // With authentication it says that it is ill: it has no user of its own.
    await until(() => fetch(`http://${address}/health`), { message: "the grpc-proxy serves" });
  } catch (error) {
    await proxy[Symbol.asyncDispose]();
    throw error;
  }
  return proxy;
}
