export { NoServersError } from "./no-servers-error.ts";
export type { SubscribeServiceOptions, UntilOptions } from "./options.ts";
export type { ServiceInstance } from "./service-instance.ts";
export type { MetadataSchema, SchemaResult } from "./standard-schema.ts";
export {
  type ServiceChanges,
  SubscribeService,
  type SubscribeServiceEvents,
  type SubscribeStatus,
} from "./subscribe-service.ts";
