export type { ServiceChanges } from "./change-debounce.ts";
export type { InstanceFilter, MetadataFilter } from "./instance-filter.ts";
export { NoServersError, type NoServersState } from "./no-servers-error.ts";
export type {
  PickOptions,
  ReportOptions,
  ServiceCallOptions,
  SubscribeServiceOptions,
  UntilOptions,
  ViewOptions,
} from "./options.ts";
export type { Ejection, OutlierDetectionOptions } from "./outlier-detector.ts";
export { isFailedResponse, type ServiceCall } from "./service-call.ts";
export type { ServiceInstance } from "./service-instance.ts";
export { ServiceList } from "./service-list.ts";
export type { ServiceView } from "./service-view.ts";
export type { MetadataSchema, SchemaResult } from "./standard-schema.ts";
export type { SubscribeServiceEvents, SubscribeStatus } from "./subscribe-events.ts";
export { SubscribeService } from "./subscribe-service.ts";
