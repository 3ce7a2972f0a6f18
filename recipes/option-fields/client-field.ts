import { z } from "zod";
import type { EtcdClient, EtcdClientOptions } from "../../src/index.ts";

/** The option as a field of a schema; options for a client are checked when it is made. */
export const clientField = z
  .custom<EtcdClient | EtcdClientOptions>(
    (client) => typeof client === "object" && client !== null,
    'must be an EtcdClient or options for one, such as { endpoints: "http://127.0.0.1:2379" }',
  )
  .optional();
