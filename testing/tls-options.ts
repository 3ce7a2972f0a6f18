import { checkRequest } from "./certificate-authority.ts";
import { checkObject } from "./check-object.ts";

/** How a cluster is put under TLS. */
export interface TlsSetup {
  /**
   * Whether members refuse clients without a certificate of the cluster's CA (`--client-cert-auth`): mutual TLS.
   *
   * @default true
   */
  readonly clientCertificates?: boolean;
  /**
   * The names and addresses in the certificate of a member, by its index; undefined leaves it the default.
   *
   * @default 127.0.0.1, localhost and a name of its own: "m1.etcd.test" for index 0, and so on
   */
  readonly names?: (index: number) => readonly string[] | undefined;
}

/** @internal The setup with every default filled in. */
export interface ResolvedTls {
  readonly clientCertificates: boolean;
  readonly memberNames: readonly (readonly string[])[];
}

/** @throws TypeError when a value has the wrong type; RangeError for an unknown option or a name that is none */
export function resolveTls(tls: boolean | TlsSetup | undefined, members: number): ResolvedTls | undefined {
  if (tls === undefined || tls === false) return undefined;
  const { clientCertificates = true, names, ...rest } = tls === true ? {} : record(tls);
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) throw new RangeError(`tls has no option ${unknown}`);
  if (typeof clientCertificates !== "boolean") throw new TypeError("tls.clientCertificates must be true or false");
  if (names !== undefined && typeof names !== "function") throw new TypeError("tls.names must be a function");
  const memberNames = Array.from({ length: members }, (_, index): readonly string[] => {
    const chosen = names?.(index) ?? ["127.0.0.1", "localhost", `m${index + 1}.etcd.test`];
    checkRequest({ names: chosen });
    return chosen;
  });
  return { clientCertificates, memberNames };
}

function record(tls: TlsSetup): TlsSetup {
  checkObject("tls", tls, "true, false or an object");
  return tls;
}
