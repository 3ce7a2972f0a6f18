import { type ClientTls, httpRequest } from "./http-request.ts";
import { type Credentials, type Secrets, secretsFor } from "./secrets.ts";

/** etcd takes long for a password, and a test can change what a token is worth: each is good for a second. */
const TOKEN_LASTS_MS = 1_000;
const tokens = new Map<string, { readonly askedMs: number; readonly token: Promise<string | undefined> }>();

/**
 * etcd's JSON gateway as a client past ours uses it: etcdctl, or curl. Under TLS it has the certificates and the user
 * that the environment names.
 */
export class Gateway {
  readonly #endpoint: string;
  readonly #tls: ClientTls | undefined;
  readonly #token: () => Promise<string | undefined>;

  /** @param secrets of one user; each call asks for a token of its own */
  constructor(endpoint: string, secrets?: Secrets) {
    const { tls, user } = secrets ?? secretsFor(endpoint);
    this.#endpoint = endpoint;
    this.#tls = tls;
    const ask = async () => user && this.#askForToken(user);
    this.#token = secrets ? ask : () => this.#kept(ask);
  }

  /**
   * Calls a method of etcd: "kv/range".
   *
   * @throws an Error with the status and the answer, when that is an error
   */
  async post(path: string, body: object, timeoutMs = 10_000): Promise<unknown> {
    const token = await this.#token();
    const answer = await this.#send(path, { body, token, timeoutMs });
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
    return JSON.parse(answer.text);
  }

  async #askForToken({ username, password }: Credentials): Promise<string | undefined> {
    const body = { name: username, password };
    const { text, status } = await this.#send("auth/authenticate", { body, timeoutMs: 10_000 });
    if (text.includes("authentication is not enabled")) return undefined;
    const { token } = JSON.parse(text) as { token?: string };
    if (token === undefined) throw new Error(`etcd gave no token: ${status} ${text}`);
    return token;
  }

  #kept(ask: () => Promise<string | undefined>): Promise<string | undefined> {
    const known = tokens.get(this.#endpoint);
    if (known && performance.now() < known.askedMs + TOKEN_LASTS_MS) return known.token;
    const token = ask();
    tokens.set(this.#endpoint, { askedMs: performance.now(), token });
    return token;
  }

  #send(path: string, request: { body: object; token?: string | undefined; timeoutMs: number }) {
    return httpRequest(`${this.#endpoint}/v3/${path}`, { ...request, tls: this.#tls });
  }
}
