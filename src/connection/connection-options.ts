import type { Runtime } from "../internal/runtime.ts";
import type { EndpointUrl } from "./endpoint-url.ts";

export interface ConnectionOptions {
  readonly endpoints: readonly EndpointUrl[];
  readonly dialTimeoutMs: number;
  readonly runtime: Runtime;
}
