import { request as requestPlain } from "node:http";
import { request as requestSecure } from "node:https";

/** A client's certificate and key, PEM, for members under TLS. */
export interface ClientCertificate {
  readonly cert: string;
  readonly key: string;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** A request that etcd's JSON gateway answered by an error. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly status: number;
  /** The gRPC status code; undefined when the answer was none of the gateway's. */
  readonly grpcCode: number | undefined;

  constructor(url: string, status: number, text: string) {
    super(`etcd refused ${url}: ${status} ${text}`);
    this.status = status;
    this.grpcCode = readCode(text);
  }
}

const timeoutMs = 3_000;
const unauthenticated = 16;

/**
 * How the testing room itself reaches members over HTTP: under TLS with a certificate of the cluster, with a token
 * where authentication is on.
 */
export class GatewayAccess {
  readonly #certificate: ClientCertificate | undefined;
  readonly #credentials: (() => Credentials) | undefined;
  // Per member: a simple token is lost to the member that restarts.
  readonly #tokens = new Map<string, string>();

  constructor(certificate?: ClientCertificate, credentials?: () => Credentials) {
    this.#certificate = certificate && { cert: certificate.cert, key: certificate.key };
    this.#credentials = credentials;
  }

  /** @throws GatewayError when it is answered by an error; other errors when it is not answered within 3 s */
  get(url: string): Promise<unknown> {
    return this.call(url, "GET");
  }

  /**
   * Calls a method of etcd, such as "kv/range", with a token if authentication is on. A token that has become invalid
   * is renewed once.
   *
   * @throws GatewayError when etcd refuses it; other errors when it is not answered within 3 s
   */
  async post(endpoint: string, path: string, body: object): Promise<unknown> {
    const url = `${endpoint}/v3/${path}`;
    const old = this.#tokens.get(endpoint);
    const token = old ?? (await this.#renew(endpoint));
    try {
      return await this.call(url, "POST", body, token);
    } catch (error) {
      if (token === undefined || !isTokenRefused(error)) throw error;
    }
    return this.call(url, "POST", body, await this.#renew(endpoint));
  }

  /** As {@link post}, but first without a token: to get one takes consensus, and not every method needs it. */
  async postOpen(endpoint: string, path: string, body: object): Promise<unknown> {
    try {
      return await this.call(`${endpoint}/v3/${path}`, "POST", body);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      return this.post(endpoint, path, body);
    }
  }

  /** Forgets the tokens: the next calls ask for new ones. */
  forget(): void {
    this.#tokens.clear();
  }

  /** @returns a new token for any user, or undefined when authentication is off */
  async authenticate(endpoint: string, { username, password }: Credentials): Promise<string | undefined> {
    try {
      const body = { name: username, password };
      const { token } = (await this.call(`${endpoint}/v3/auth/authenticate`, "POST", body)) as { token: string };
      return token;
    } catch (error) {
      if (error instanceof GatewayError && error.message.includes("authentication is not enabled")) return undefined;
      throw error;
    }
  }

  /** One request as it is given. @throws as {@link get} does */
  async call(url: string, method: string, body?: object, token?: string): Promise<unknown> {
    // A kept connection would be found dead by the first request after a member was killed.
    const options = {
      method,
      agent: false as const,
      headers: token === undefined ? {} : { authorization: token },
      signal: AbortSignal.timeout(timeoutMs),
    };
    const sent = url.startsWith("https:")
      ? // A member whose certificate is wrong on purpose must be controlled, too; its port is this process's own.
        requestSecure(url, { ...options, ...this.#certificate, rejectUnauthorized: false })
      : requestPlain(url, options);
    const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
      sent.on("error", reject);
      sent.on("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("error", reject);
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
      sent.end(body && JSON.stringify(body));
    });
    if (status < 200 || status > 299) throw new GatewayError(url, status, text);
    return JSON.parse(text);
  }

  async #renew(endpoint: string): Promise<string | undefined> {
    this.#tokens.delete(endpoint);
    if (this.#credentials === undefined) return undefined;
    const token = await this.authenticate(endpoint, this.#credentials());
    if (token !== undefined) this.#tokens.set(endpoint, token);
    return token;
  }
}

/** For members without TLS and authentication. */
export const plainAccess = new GatewayAccess();

function isTokenRefused(error: unknown): boolean {
  if (!(error instanceof GatewayError)) return false;
  return error.grpcCode === unauthenticated || error.message.includes("revision of auth store is old");
}

function readCode(text: string): number | undefined {
  try {
    const { code } = JSON.parse(text) as { code?: unknown };
    return typeof code === "number" ? code : undefined;
  } catch {
    return undefined;
  }
}
