/** One of the three parts of TLS: its PEM, or the file that has it. */
export type PemSource = { readonly pem: string | Uint8Array } | { readonly file: string };

export interface TlsSource {
  /** What the servers' certificates are checked against. Undefined: the CAs that Node trusts. */
  readonly ca?: PemSource | undefined;
  readonly cert?: PemSource | undefined;
  readonly key?: PemSource | undefined;
  /** The name that the servers' certificates must have, instead of the host of their URL. */
  readonly serverName?: string | undefined;
}
