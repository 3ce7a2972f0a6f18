import * as z from "zod/mini";
import { EtcdClient, type EtcdClientOptions } from "../../src/index.ts";
import { isPlainObject } from "../../src/internal/index.ts";

/** The option as a field of a schema; options for a client are checked when it is made. */
export const clientField = () =>
  z.optional(
    z.custom<EtcdClient | EtcdClientOptions>(
      (client) => client instanceof EtcdClient || isPlainObject(client),
      'must be an EtcdClient of this package, or options for one, such as { endpoints: "http://127.0.0.1:2379" }',
    ),
  );
