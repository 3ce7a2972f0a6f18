import { randomBytes } from "node:crypto";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { isIP } from "node:net";
import { join } from "node:path";
import { runOpenssl } from "./openssl.ts";

/** What {@link ClusterTls.issue} takes. */
export interface CertificateRequest {
  /**
   * The subject's common name, at most 64 characters. etcd takes a *client's* for the name of its user, in calls that
   * carry no token.
   *
   * @default none
   */
  readonly commonName?: string;
  /** Host names (also with a leading "*.") and IP addresses that it is good for. @default none */
  readonly names?: readonly string[];
  /** How long it is valid, from now on; -1 or less: it expired that many days ago. Not 0. @default 30 */
  readonly days?: number;
}

/** A certificate with its key: the PEM files and what is in them. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

const longestDays = 3_650;
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** A certificate authority in a folder of its own: P-256 keys in files of mode 0600, ECDSA with SHA-256. */
export class CertificateAuthority {
  /** The folder, mode 0700. */
  readonly dir: string;
  readonly caFile: string;
  /** Its own certificate, PEM. */
  readonly ca: string;
  #issued = 0;

  private constructor(dir: string, ca: string) {
    this.dir = dir;
    this.caFile = join(dir, "ca.pem");
    this.ca = ca;
  }

  /** @throws OpensslNotFoundError */
  static async create(dir: string, commonName: string): Promise<CertificateAuthority> {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await writeFile(
      join(dir, "ca.cnf"),
      config({ commonName }, ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign,cRLSign"]),
    );
    const request = ["req", "-x509", "-new", "-config", "ca.cnf", "-extensions", "extensions", "-sha256"];
    await runOpenssl(dir, [...request, ...newKey, "-keyout", "ca.key", "-out", "ca.pem", "-days", String(longestDays)]);
    await chmod(join(dir, "ca.key"), 0o600);
    return new CertificateAuthority(dir, await readFile(join(dir, "ca.pem"), "utf8"));
  }

  /**
   * Makes a key and a certificate for it, good for servers and for clients.
   *
   * @param label the files' name; by default a number that was not used before
   * @throws RangeError for a common name, a host name or a number of days that makes no sense
   */
  async issue(wanted: CertificateRequest = {}, label?: string): Promise<Certificate> {
    const { names = [], days = 30 } = wanted;
    checkRequest(wanted);
    const name = label ?? `issued-${++this.#issued}`;
    const extensions = ["basicConstraints=critical,CA:false", "extendedKeyUsage=serverAuth,clientAuth"];
    if (names.length > 0) extensions.push(`subjectAltName=${names.map(alternativeName).join(",")}`);
    const cnf = `${name}.cnf`;
    const csr = `${name}.csr`;
    await writeFile(join(this.dir, cnf), config(wanted, extensions));
    await runOpenssl(this.dir, ["req", "-new", "-config", cnf, ...newKey, "-keyout", `${name}.key`, "-out", csr]);
    const certFile = join(this.dir, `${name}.pem`);
    const keyFile = join(this.dir, `${name}.key`);
    await chmod(keyFile, 0o600);
    const signing = ["x509", "-req", "-in", csr, "-CA", "ca.pem", "-CAkey", "ca.key", "-sha256", "-days", String(days)];
    // At random: nothing is shared between certificates that are made at the same time.
    const serial = ["-set_serial", `0x${randomBytes(15).toString("hex")}`];
    await runOpenssl(this.dir, [...signing, ...serial, "-extfile", cnf, "-extensions", "extensions", "-out", certFile]);
    const [cert, key] = await Promise.all([readFile(certFile, "utf8"), readFile(keyFile, "utf8")]);
    return { certFile, keyFile, cert, key };
  }
}

/** @throws RangeError */
export function checkRequest({ commonName, names = [], days = 30 }: CertificateRequest): void {
  if (commonName !== undefined && !/^[\w .:@*-]{1,64}$/.test(commonName)) {
    throw new RangeError(`commonName must be 1 to 64 letters, digits or " .:@*_-", got ${JSON.stringify(commonName)}`);
  }
  for (const name of names) {
    if (isIP(name) === 0 && !/^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name)) {
      throw new RangeError(`names must be host names and IP addresses, got ${JSON.stringify(name)}`);
    }
  }
  if (!Number.isInteger(days) || days === 0 || Math.abs(days) > longestDays) {
    throw new RangeError(`days must be a whole number from -${longestDays} to ${longestDays} and not 0, got ${days}`);
  }
}

function alternativeName(name: string): string {
  return isIP(name) === 0 ? `DNS:${name}` : `IP:${name}`;
}

// The organization is there so that a certificate without a common name has a subject.
function config({ commonName }: CertificateRequest, extensions: readonly string[]): string {
  const subject = ["O=etcd-recipes testing", ...(commonName === undefined ? [] : [`CN=${commonName}`])];
  return [
    "[req]",
    "prompt=no",
    "distinguished_name=subject",
    "[subject]",
    ...subject,
    "[extensions]",
    ...extensions,
    "",
  ].join("\n");
}
