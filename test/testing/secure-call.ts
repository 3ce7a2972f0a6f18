import { once } from "node:events";
import { connect } from "node:tls";
import type { EtcdCluster } from "../../testing/index.ts";
import { type Credentials, get, put, type Secrets } from "../support/gateway/index.ts";

/** What a client sees of a server's certificate: undefined when it trusts it, else the code of the refusal. */
export async function refusal(
  endpoint: string,
  { ca, servername = "localhost" }: { ca: string; servername?: string },
  certificate: { cert?: string; key?: string } = {},
): Promise<string | undefined> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect({ host: hostname, port: Number(port), ca, servername, ...certificate });
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.timeout(30_000) });
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  } finally {
    socket.destroy();
  }
}

/** The JSON gateway of a cluster as a given user, or as none. */
export class GatewayUser {
  readonly #secrets: Secrets;

  constructor({ tls }: EtcdCluster, user?: Credentials) {
    this.#secrets = { tls, user };
  }

  async put(endpoint: string, key: string, value: string): Promise<void> {
    await put(endpoint, key, value, this.#secrets);
  }

  /** Linearizable, unless `serializable`: then the member answers from what it has applied. */
  async get(endpoint: string, key: string, { serializable = false } = {}): Promise<string | undefined> {
    return get(endpoint, key, { serializable, secrets: this.#secrets });
  }
}
