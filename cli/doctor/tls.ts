import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { connect, type PeerCertificate } from "node:tls";
import { bad, type Check, type Finding, ok, warn } from "./finding.ts";

const DAY_MS = 86_400_000;
const SOON_DAYS = 30;

/** The certificates of the servers: who issued them, for which names, and for how long they hold. */
export const checkTls: Check = async ({ etcd, timeoutMs, signal, caFile }) => {
  const secure = etcd.endpoints.filter((endpoint) => endpoint.startsWith("https:"));
  if (secure.length === 0)
    return [warn("TLS", "the endpoints are plain", "others on the network can read and change everything")];
  const ca = caFile === undefined ? undefined : readFileSync(caFile);
  return Promise.all(secure.map((endpoint) => look(endpoint, ca, timeoutMs, signal)));
};

function look(endpoint: string, ca: Buffer | undefined, timeoutMs: number, signal: AbortSignal): Promise<Finding> {
  const { hostname, port } = new URL(endpoint);
  const host = hostname.replace(/^\[|\]$/g, "");
  return new Promise((resolve) => {
    const name = isIP(host) === 0 ? { servername: host } : {};
    // Also a certificate that is not accepted is looked at.
    const socket = connect({
      host,
      port: Number(port || 2379),
      ca,
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      ...name,
    });
    // It would hold the process.
    const stop = () => socket.destroy();
    signal.addEventListener("abort", stop);
    const done = (finding: Finding) => {
      signal.removeEventListener("abort", stop);
      socket.destroy();
      resolve(finding);
    };
    socket.setTimeout(timeoutMs, () => done(bad("TLS", `${endpoint} says nothing`, "is it reachable from here?")));
    socket.on("error", (error) => done(bad("TLS", `${endpoint}: ${error.message}`, "does it speak TLS?")));
    socket.on("secureConnect", () => {
      const problem = socket.authorized ? undefined : String(socket.authorizationError);
      done(judgeCertificate(endpoint, socket.getPeerCertificate(), problem, Date.now()));
    });
  });
}

export function judgeCertificate(
  endpoint: string,
  certificate: PeerCertificate,
  problem: string | undefined,
  nowMs: number,
): Finding {
  const days = Math.floor((Date.parse(certificate.valid_to) - nowMs) / DAY_MS);
  const until = `${endpoint} has a certificate until ${certificate.valid_to}`;
  if (days < 0) return bad("TLS", `${until}: it has expired`, "replace it: etcd reads it anew for each connection");
  if (problem !== undefined)
    return bad(
      "TLS",
      `${endpoint}: ${problem}`,
      "name the right CA (--cacert), and an endpoint that the certificate is for",
    );
  if (days < SOON_DAYS) return warn("TLS", `${until}, for ${days} days`, "replace it");
  return ok("TLS", `${until}, for ${days} days`);
}
