import { readFileSync } from "node:fs";
import type { ClientTls } from "./http-request.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** As whom a client comes to etcd. */
export interface Secrets {
  readonly tls?: ClientTls | undefined;
  readonly user?: Credentials | undefined;
}

/** For a run under TLS and authentication, every client finds its certificates and its user in the environment. */
export function secretsFor(endpoint: string): Secrets {
  const { ETCD_CACERT, ETCD_CERT, ETCD_KEY, ETCD_USERNAME, ETCD_PASSWORD } = process.env;
  if (!endpoint.startsWith("https:")) return {};
  const pem = (file: string | undefined) => readFileSync(file ?? "", "utf8");
  return {
    tls: { ca: pem(ETCD_CACERT), cert: pem(ETCD_CERT), key: pem(ETCD_KEY) },
    user: { username: ETCD_USERNAME ?? "", password: ETCD_PASSWORD ?? "" },
  };
}
