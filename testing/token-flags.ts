import { generateKeyPair } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ResolvedAuth } from "./auth-options.ts";

const makeKeyPair = promisify(generateKeyPair);

/**
 * The least that etcd takes: a password costs a member a millisecond or two of CPU, and not the 100 ms of its default.
 */
const PASSWORD_COST = "--bcrypt-cost=4";

/**
 * The flags for the passwords and tokens of a cluster. The keys for jwt are made in the folder, which is made too, mode
 * 0700.
 */
export async function makeTokenFlags(folder: string, { token, tokenTtlSeconds }: ResolvedAuth): Promise<string[]> {
  if (token === "simple") return [PASSWORD_COST, "--auth-token=simple", `--auth-token-ttl=${tokenTtlSeconds}`];
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { publicKey, privateKey } = await makeKeyPair("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const [publicFile, privateFile] = [join(folder, "jwt.pub"), join(folder, "jwt.key")];
  await writeFile(publicFile, publicKey);
  await writeFile(privateFile, privateKey, { mode: 0o600 });
  const jwt = `jwt,pub-key=${publicFile},priv-key=${privateFile},sign-method=RS256,ttl=${tokenTtlSeconds}s`;
  return [PASSWORD_COST, `--auth-token=${jwt}`];
}
