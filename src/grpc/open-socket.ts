import { connect as connectPlain, isIP, type Socket } from "node:net";
import { type ConnectionOptions, checkServerIdentity, connect as connectTls } from "node:tls";
import type { Target, TlsOptions } from "./connect-options.ts";
import { lookupInTurn } from "./lookup-in-turn.ts";

/** Read at once: larger reads save little, and each connection keeps this much. */
const READ_BYTES = 64 * 1024;

/**
 * Begins to connect. With `ticket` TLS resumes the session that it is of. `onRead` gets what comes, in one buffer that
 * is overwritten by the next read.
 */
export function openSocket(
  target: Target,
  tls: TlsOptions | undefined,
  ticket: Buffer | undefined,
  addressTurn: number,
  onRead: (bytes: Buffer, length: number) => void,
): Socket {
  const onread = {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback: (length: number, bytes: Uint8Array) => {
      onRead(bytes as Buffer, length);
      return true;
    },
  };
  const lookup = lookupInTurn(addressTurn);
  const where =
    "path" in target ? { path: target.path } : { host: target.host, port: target.port, lookup, autoSelectFamily: true };
  const options = { ...where, onread };
  const socket =
    tls === undefined ? connectPlain(options) : connectTls({ ...options, ...secured(target, tls, ticket) });
  // What is written together leaves together already, and must not wait for an acknowledgement of what left before.
  socket.setNoDelay(true);
  return socket;
}

/** The name that is looked for in the certificate. */
function nameOf(target: Target, { servername }: TlsOptions): string {
  return servername ?? ("host" in target ? target.host : "localhost");
}

function secured(target: Target, tls: TlsOptions, ticket: Buffer | undefined): ConnectionOptions {
  const { secureContext, ca, cert, key } = tls;
  const name = nameOf(target, tls);
  return {
    ALPNProtocols: ["h2"],
    minVersion: "TLSv1.2",
    ...(secureContext !== undefined && { secureContext }),
    ...(secureContext === undefined && ca !== undefined && { ca: pem(ca) }),
    ...(secureContext === undefined && cert !== undefined && { cert: pem(cert) }),
    ...(secureContext === undefined && key !== undefined && { key: pem(key) }),
    // An address must not be asked for as a name (RFC 6066, section 3). It is looked for in the certificate all the
    // same.
    ...(isIP(name) === 0 && { servername: name }),
    checkServerIdentity: (_, certificate) => checkServerIdentity(name, certificate),
    ...(ticket && { session: ticket }),
  };
}

function pem(text: string | Uint8Array): string | Buffer {
  return typeof text === "string" ? text : Buffer.from(text);
}
