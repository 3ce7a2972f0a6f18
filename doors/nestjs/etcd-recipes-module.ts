import type { DynamicModule } from "@nestjs/common";
import { EtcdService } from "./etcd-service.ts";
import { checkOptions, type EtcdRecipesModuleOptions, type HttpAdapterHostLike } from "./module-options.ts";

/**
 * A module for NestJS: the app is registered when it listens, drains before it closes, and has lists.
 *
 * ```ts
 * EtcdRecipesModule.forRoot({
 *   key: "/svc/shop/",
 *   address: "10.0.0.5",
 *   httpAdapterHost: HttpAdapterHost,
 *   subscribe: { orders: "/svc/orders/" },
 * });
 * ```
 *
 * It provides, to all modules, an `EtcdService`, and each list by `servicesToken(name)`.
 *
 * Guaranteed: on `app.close()`, and on the signals of `app.enableShutdownHooks()`, the registration drains while the
 * app serves all requests, and is gone before the server closes.
 *
 * Not guaranteed: anything on a signal without `enableShutdownHooks()`: the process ends, and the key with its lease.
 */
// biome-ignore lint/complexity/noStaticOnlyClass: Nest knows modules by their classes
export class EtcdRecipesModule {
  /**
   * @throws InvalidOptionError that names the option. When the app listens on all interfaces without an `address`, it
   *   is not registered, is not ready, and a warning of the process says why.
   */
  static forRoot(options: EtcdRecipesModuleOptions = {}): DynamicModule {
    checkOptions(options);
    const { httpAdapterHost, subscribe = {} } = options;
    const lists = Object.keys(subscribe).map((name) => ({
      provide: servicesToken(name),
      useFactory: ({ services }: EtcdService) => services[name],
      inject: [EtcdService],
    }));
    const service = {
      provide: EtcdService,
      useFactory: (host?: HttpAdapterHostLike) => new EtcdService(options, host),
      inject: httpAdapterHost ? [httpAdapterHost] : [],
    };
    const tokens = lists.map(({ provide }) => provide);
    return {
      module: EtcdRecipesModule,
      global: true,
      providers: [service, ...lists],
      exports: [EtcdService, ...tokens],
    };
  }
}

/** What a list is injected by: `@Inject(servicesToken("orders")) orders: SubscribeService`. */
export function servicesToken(name: string): string {
  return `etcd-recipes:services:${name}`;
}
