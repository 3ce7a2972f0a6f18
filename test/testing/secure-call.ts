import { once } from "node:events";
import { connect } from "node:tls";
import type { Credentials } from "../../testing/gateway-access.ts";
import { GatewayAccess } from "../../testing/gateway-access.ts";
import type { EtcdCluster } from "../../testing/index.ts";

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

/** The JSON gateway of a cluster as a given user, or as nobody. */
export class GatewayUser {
  readonly #access: GatewayAccess;

  constructor({ tls }: EtcdCluster, credentials?: Credentials) {
    this.#access = new GatewayAccess(tls, credentials && (() => credentials));
  }

  async put(endpoint: string, key: string, value: string): Promise<void> {
    await this.#access.post(endpoint, "kv/put", { key: base64(key), value: base64(value) });
  }

  /** Linearizable, unless `serializable`: then the member answers from what it has applied. */
  async get(endpoint: string, key: string, { serializable = false } = {}): Promise<string | undefined> {
    const found = (await this.#access.post(endpoint, "kv/range", { key: base64(key), serializable })) as {
      kvs?: { value: string }[];
    };
    return found.kvs?.[0] && Buffer.from(found.kvs[0].value, "base64").toString();
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}
