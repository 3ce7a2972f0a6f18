import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takePort } from "../../../testing/free-ports.ts";
import { findProgram } from "../find-program.ts";
import type { EtcdProxy } from "./etcd-proxy.ts";
import { ProgramProxy } from "./program-proxy.ts";

const program = findProgram("proxies", "usr/sbin/nghttpx", "--version", "nothing is tested with nghttpx");

export const canStartNghttpx = program !== undefined;

/** The proxy of the nghttp2 project, which is strict about HTTP/2. */
export async function startNghttpx(etcd: string): Promise<EtcdProxy> {
  if (!program) throw new Error("there is no nghttpx");
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-nghttpx-"));
  const port = await takePort();
  const { hostname, port: etcdPort } = new URL(etcd);
  return ProgramProxy.start({
    program,
    args: [
      ...["--conf=/dev/null", "--workers=1", `--frontend=127.0.0.1,${port};no-tls`],
      ...[`--backend=${hostname},${etcdPort};;proto=h2`, "--no-ocsp", "--backend-read-timeout=1h"],
    ],
    folder,
    port,
    reloadSignal: "SIGHUP",
  });
}
