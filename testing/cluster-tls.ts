import { copyFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { type Certificate, CertificateAuthority, type CertificateRequest } from "./certificate-authority.ts";
import type { ResolvedTls } from "./tls-options.ts";

/** What {@link ClusterTls.issue} takes. */
export interface IssueOptions extends CertificateRequest {
  /** Who signs it: the CA that members and clients trust, or another one that is not trusted. @default "cluster" */
  readonly ca?: "cluster" | "other";
}

/**
 * The certificates of a cluster under TLS, in files of its temporary folder (0700, keys 0600) that go with it.
 * `certFile` and `keyFile` are a client's: signed by the CA, without names and common name.
 */
export class ClusterTls implements Certificate {
  readonly dir: string;
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** The CA's certificate, PEM, as it was made. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Whether members demand a certificate of their clients. */
  readonly clientCertificates: boolean;
  readonly #authority: CertificateAuthority;
  readonly #members: readonly Certificate[];
  readonly #memberNames: readonly (readonly string[])[];
  #other: Promise<CertificateAuthority> | undefined;

  private constructor(
    authority: CertificateAuthority,
    client: Certificate,
    members: readonly Certificate[],
    { clientCertificates, memberNames }: ResolvedTls,
  ) {
    this.dir = authority.dir;
    this.caFile = authority.caFile;
    this.ca = authority.ca;
    this.certFile = client.certFile;
    this.keyFile = client.keyFile;
    this.cert = client.cert;
    this.key = client.key;
    this.clientCertificates = clientCertificates;
    this.#authority = authority;
    this.#members = members;
    this.#memberNames = memberNames;
  }

  /** @internal Made by `startEtcd`. */
  static async create(dir: string, setup: ResolvedTls): Promise<ClusterTls> {
    const authority = await CertificateAuthority.create(dir, "etcd-recipes testing CA");
    const [client, ...members] = await Promise.all([
      authority.issue({}, "client"),
      ...setup.memberNames.map((names, index) => authority.issue({ names }, `m${index + 1}`)),
    ]);
    if (client === undefined) throw new Error("there is no certificate for clients");
    return new ClusterTls(authority, client, members, setup);
  }

  /**
   * Makes a certificate with a key of its own, for a client or a server.
   *
   * @throws RangeError for a common name, names or days that make no sense
   */
  async issue(options: IssueOptions = {}): Promise<Certificate> {
    const { ca = "cluster", ...request } = options;
    if (ca !== "cluster" && ca !== "other") throw new RangeError(`ca must be "cluster" or "other", got ${String(ca)}`);
    return (ca === "cluster" ? this.#authority : await this.#otherAuthority()).issue(request);
  }

  /** The file and the PEM text of the other CA's own certificate: one that is trusted by no member and no client. */
  async other(): Promise<{ readonly caFile: string; readonly ca: string }> {
    const { caFile, ca } = await this.#otherAuthority();
    return { caFile, ca };
  }

  /**
   * Gives a member another certificate, under its old files' names. etcd reads them anew for each connection: those
   * that are open stay, the next ones see it. What serves in the meantime sees the old or the new pair, or for an
   * instant a key that does not match. It lasts over restarts.
   *
   * @param options `names` are by default the ones that the member has
   * @throws RangeError when there is no such member
   */
  async replaceMember(index: number, options: IssueOptions = {}): Promise<Certificate> {
    const { certFile, keyFile } = this.member(index);
    const made = await this.issue({ names: this.#memberNames[index] ?? [], ...options });
    await replaceFile(made.keyFile, keyFile);
    await replaceFile(made.certFile, certFile);
    return { ...made, certFile, keyFile };
  }

  /** The files of a member, with the certificate that it began with. @throws RangeError when there is no such member */
  member(index: number): Certificate {
    const member = this.#members[index];
    if (member === undefined) throw new RangeError(`there is no member ${index} among ${this.#members.length}`);
    return member;
  }

  /** @internal */
  memberFlags(index: number): string[] {
    const { certFile, keyFile } = this.member(index);
    const flags = [`--cert-file=${certFile}`, `--key-file=${keyFile}`];
    // To etcd, a CA for clients means that they need a certificate.
    return this.clientCertificates ? [...flags, `--trusted-ca-file=${this.caFile}`, "--client-cert-auth"] : flags;
  }

  #otherAuthority(): Promise<CertificateAuthority> {
    this.#other ??= CertificateAuthority.create(join(this.dir, "other"), "another etcd-recipes testing CA");
    return this.#other;
  }
}

async function replaceFile(from: string, to: string): Promise<void> {
  await copyFile(from, `${to}.new`);
  await rename(`${to}.new`, to);
}
