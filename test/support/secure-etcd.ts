import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { buffer } from "node:stream/consumers";
import { vi } from "vitest";

// For a run of tests that know nothing of it: every etcd is under mutual TLS with authentication on, and every client finds
// its certificates and its user in the environment, as a program in production does.

vi.mock("../../testing/index.ts", async (importOriginal) => {
  const real = await importOriginal<typeof import("../../testing/index.ts")>();
  const startEtcd: typeof real.startEtcd = async (options = {}) => {
    const cluster = await real.startEtcd({ ...options, tls: true, auth: true });
    const { tls, auth } = cluster.clientOptions;
    if (!tls || !auth) throw new Error("the cluster is not secure");
    Object.assign(process.env, {
      ETCD_CACERT: tls.caFile,
      ETCD_CERT: tls.certFile,
      ETCD_KEY: tls.keyFile,
      ETCD_USERNAME: auth.username,
      ETCD_PASSWORD: auth.password,
    });
    return cluster;
  };
  return { ...real, startEtcd };
});

/** Tests look at the metrics of members by `fetch`, which takes neither a CA nor a certificate. */
const plainFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = String(input);
  if (!url.startsWith("https:")) return plainFetch(input, init);
  const pem = (name: string) => readFileSync(process.env[name] ?? "");
  const asked = request(url, {
    method: init?.method ?? "GET",
    ca: pem("ETCD_CACERT"),
    cert: pem("ETCD_CERT"),
    key: pem("ETCD_KEY"),
    ...(init?.signal && { signal: init.signal }),
  });
  asked.end(init?.body ?? undefined);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return new Response(new Uint8Array(await buffer(answer)), { status: answer.statusCode ?? 500 });
};
