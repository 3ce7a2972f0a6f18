import { EtcdClient as PlainClient } from "../../src/index.ts";

// biome-ignore lint/performance/noReExportAll: it stands in the place of the whole door
export * from "../../src/index.ts";

/** A client whose writes travel together unless the call says otherwise. */
export class EtcdClient extends PlainClient {
  constructor(options: ConstructorParameters<typeof PlainClient>[0] = {}) {
    super({ autoBatch: true, ...options });
  }
}
