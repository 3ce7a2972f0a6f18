import { InvalidOptionError } from "../../errors/invalid-option-error.ts";
import { type Material, parts, secureContextOf } from "./tls-credentials.ts";
import { TlsError } from "./tls-error.ts";
import type { TlsSource } from "./tls-source.ts";

/**
 * Looks at what is given as PEM. No I/O: files are looked at when a connection is made.
 *
 * @throws InvalidOptionError for what is no PEM, or a key that is not the certificate's
 */
export function checkTlsSource(what: string, source: TlsSource): void {
  const material: Material = {};
  for (const part of parts) {
    const given = source[part];
    if (given && "pem" in given) material[part] = Buffer.from(given.pem);
  }
  try {
    secureContextOf(material, (part) => `tls.${part}`);
  } catch (error) {
    if (!(error instanceof TlsError) || !error.part) throw error;
    throw new InvalidOptionError(what, `tls.${error.part}`, error.problem ?? "cannot be used");
  }
}
