import { defaultClient, EtcdClient, type EtcdClientOptions } from "../../src/index.ts";

export interface RecipeClientOptions {
  /**
   * A client, never closed by the recipe; or options for one of its own, which it closes: when etcd is out of reach,
   * `close()` takes up to 2 s more for that.
   *
   * @default the shared client, `defaultClient()`
   */
  client?: EtcdClient | EtcdClientOptions | undefined;
}

/** The client that a recipe uses, and whether it closes it. */
export interface RecipeClient {
  readonly etcd: EtcdClient;
  /** Closes the client if it is the recipe's own. */
  release(): Promise<void>;
}

/** @throws InvalidOptionError for bad client options */
export function recipeClient(client: EtcdClient | EtcdClientOptions | undefined): RecipeClient {
  if (client === undefined) return { etcd: defaultClient(), release: async () => {} };
  if (client instanceof EtcdClient) return { etcd: client, release: async () => {} };
  const etcd = new EtcdClient(client);
  return { etcd, release: () => etcd.close() };
}
