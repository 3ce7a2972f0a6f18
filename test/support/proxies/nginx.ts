import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CertificateAuthority } from "../../../testing/certificate-authority.ts";
import { takePort } from "../../../testing/free-ports.ts";
import { findProgram } from "../find-program.ts";
import type { EtcdProxy } from "./etcd-proxy.ts";
import { ProgramProxy } from "./program-proxy.ts";

const program = findProgram("proxies", "usr/sbin/nginx", "-v", "nothing is tested with nginx");

export const canStartNginx = program !== undefined;

/** After so many requests nginx ends a connection by GOAWAY, and refuses what comes on it meanwhile. @default 1000 */
const requestsOfConnection = 100;

/** nginx with `grpc_pass`, under TLS, as an ingress is. */
export async function startNginx(etcd: string): Promise<EtcdProxy> {
  if (!program) throw new Error("there is no nginx");
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-nginx-"));
  const authority = await CertificateAuthority.create(folder, "the CA of nginx");
  const { certFile, keyFile } = await authority.issue({ names: ["127.0.0.1"] });
  const port = await takePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const config = `
daemon off;
worker_processes 1;
pid ${folder}/pid;
${process.getuid?.() === 0 ? "user root;" : ""}
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ")}
  upstream etcd { server ${new URL(etcd).host}; keepalive 8; }
  server {
    listen 127.0.0.1:${port} ssl http2;
    ssl_certificate ${certFile};
    ssl_certificate_key ${keyFile};
    keepalive_requests ${requestsOfConnection};
    client_max_body_size 0;
    location / {
      grpc_pass grpc://etcd;
      grpc_read_timeout 1h;
      grpc_send_timeout 1h;
    }
  }
}
`;
  const file = join(folder, "nginx.conf");
  await writeFile(file, config);
  return ProgramProxy.start({
    program,
    args: ["-p", folder, "-c", file, "-e", "stderr"],
    folder,
    port,
    tls: { ca: authority.ca },
    reloadSignal: "SIGHUP",
  });
}
