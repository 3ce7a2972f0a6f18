import { UnavailableError } from "../../errors/unavailable-error.ts";
import type { ConnectionError } from "../../grpc/index.ts";
import { TlsError } from "../tls/tls-error.ts";
import type { EndpointUrl } from "./endpoint-url.ts";

/** Why there is no connection, in words that say what to look at. */
export function whyNotConnected({ url, secure }: EndpointUrl, cause: ConnectionError): UnavailableError {
  const explained = secure && whyNotSecured(cause.message);
  return explained
    ? new TlsError(`${url}: ${explained}`, { cause })
    : new UnavailableError(`${url}: ${cause.reason === "refused" ? systemWords(cause) : cause.message}`, {
        cause,
        retryable: true,
      });
}

/** What the system says is enough: `connect ECONNREFUSED 127.0.0.1:2379`. */
function systemWords({ cause, message }: ConnectionError): string {
  return cause instanceof Error && cause.message !== "" ? cause.message : message;
}

/** What Node and OpenSSL say of a handshake that failed, in words that say what to look at. */
function whyNotSecured(reason: string): string | undefined {
  if (/self.signed certificate|unable to (verify|get).*(certificate|issuer)|unable to verify/i.test(reason)) {
    return `its certificate is not of a CA that is trusted here: look at tls.ca, tls.caFile or ETCD_CACERT (${reason})`;
  }
  if (/certificate has expired/i.test(reason)) return "its certificate has expired";
  if (/certificate purpose/i.test(reason)) return `its certificate is not one for servers (${reason})`;
  if (/certificate is not yet valid/i.test(reason)) return "its certificate is not valid yet";
  if (/altnames|ERR_TLS_CERT_ALTNAME_INVALID/i.test(reason)) {
    return `its certificate is for other names: look at the endpoint's host or tls.serverName (${reason})`;
  }
  const refused = /alert ([a-z ]*(?:certificate|unknown ca)[a-z ]*)/i.exec(reason)?.[1];
  if (refused !== undefined) {
    return `it refused the client's certificate (${refused}): look at tls.cert and tls.key, tls.certFile and tls.keyFile, or ETCD_CERT and ETCD_KEY`;
  }
  return undefined;
}
