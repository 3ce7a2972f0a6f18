import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { TlsError } from "./tls-error.ts";
import type { TlsSource } from "./tls-source.ts";

export type Part = "ca" | "cert" | "key";
export const parts = ["ca", "cert", "key"] as const;

export type Material = Partial<Record<Part, Buffer>>;

/**
 * What connections are secured with. Files are read for each connection that is made: replaced ones are used without a
 * restart; connections that are open stay as they are.
 */
export class TlsCredentials {
  readonly #source: TlsSource;
  #material: Material | undefined;
  #context: SecureContext | undefined;

  constructor(source: TlsSource) {
    this.#source = source;
  }

  get serverName(): string | undefined {
    return this.#source.serverName;
  }

  /**
   * The same object as long as nothing has changed. Read without a pause: the files are small, and a dial is seldom.
   *
   * @throws TlsError that says which file cannot be used, and why
   */
  current(): SecureContext {
    const material = this.#read();
    const known = this.#material;
    if (this.#context && known && parts.every((part) => sameBytes(known[part], material[part]))) {
      return this.#context;
    }
    this.#context = secureContextOf(material, (part) => this.#nameOf(part));
    this.#material = material;
    return this.#context;
  }

  #read(): Material {
    const material: Material = {};
    for (const part of parts) {
      const source = this.#source[part];
      if (!source) continue;
      if ("pem" in source) material[part] = Buffer.from(source.pem);
      else {
        try {
          material[part] = readFileSync(source.file);
        } catch (cause) {
          throw new TlsError(`${this.#nameOf(part)} cannot be read: ${(cause as Error).message}`, { cause });
        }
      }
    }
    return material;
  }

  #nameOf(part: Part): string {
    const source = this.#source[part];
    return source && "file" in source ? `tls.${part}File` : `tls.${part}`;
  }
}

/**
 * What to secure connections with.
 *
 * @param nameOf what a part is called where it comes from
 * @throws TlsError that has the part that cannot be used
 */
export function secureContextOf({ ca, cert, key }: Material, nameOf: (part: Part) => string): SecureContext {
  const use = (part: Part, options: Parameters<typeof createSecureContext>[0]) => {
    try {
      return createSecureContext({ ...options, minVersion: "TLSv1.2" });
    } catch (cause) {
      // What OpenSSL says of a key is about its form, but it is not worth the doubt.
      const problem =
        key && part === "key" && isEncrypted(key)
          ? "is encrypted: give it without a passphrase"
          : problemOf((cause as { code?: string }).code);
      throw new TlsError(`${nameOf(part)} ${problem}`, { part, problem });
    }
  };
  if (ca) checkCa(ca, nameOf("ca"));
  if (cert) use("cert", { cert });
  const context = use("key", { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
  if (cert && key) checkKeyType(cert, key, nameOf("key"));
  return context;
}

/** OpenSSL passes over what it cannot read: no server would be trusted, and the server would be blamed. */
function checkCa(ca: Buffer, name: string): void {
  if (isPemCertificate(ca)) return;
  const problem = "has no PEM certificate";
  throw new TlsError(`${name} ${problem}`, { part: "ca", problem });
}

/** X509Certificate reads DER as well. */
function isPemCertificate(bytes: Buffer): boolean {
  if (!bytes.includes("-----BEGIN ")) return false;
  try {
    new X509Certificate(bytes);
    return true;
  } catch {
    return false;
  }
}

/** OpenSSL takes a key of another type without a word: no certificate would be sent, and the server would complain. */
function checkKeyType(cert: Buffer, key: Buffer, name: string): void {
  if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  const problem = "is not the key of the certificate: it is of another type";
  throw new TlsError(`${name} ${problem}`, { part: "key", problem });
}

/**
 * By what it says of itself (RFC 7468, section 11, and RFC 1421 for the older form), not by what OpenSSL says: with an
 * empty passphrase one in some hundred comes out as something, of which OpenSSL says that it is unsupported.
 */
function isEncrypted(key: Buffer): boolean {
  return key.includes("-----BEGIN ENCRYPTED PRIVATE KEY-----") || key.includes("Proc-Type: 4,ENCRYPTED");
}

function problemOf(code: string | undefined): string {
  switch (code) {
    case "ERR_OSSL_X509_KEY_VALUES_MISMATCH":
      return "is not the key of the certificate";
    default:
      return `cannot be used${code === undefined ? "" : ` (${code})`}`;
  }
}

function sameBytes(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.equals(b));
}
