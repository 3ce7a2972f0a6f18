/// <reference types="node" preserve="true" />
// The door `etcd-recipes/nestjs`: a NestJS app that registers, drains and says whether it is ready.
export { EtcdRecipesModule, servicesToken } from "./etcd-recipes-module.ts";
export { type EtcdHealth, EtcdService } from "./etcd-service.ts";
export type { EtcdRecipesModuleOptions, HttpAdapterHostLike, SubscribedPrefix } from "./module-options.ts";
