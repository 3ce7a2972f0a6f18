import type { DynamicModule } from "@nestjs/common";
import { EtcdService } from "./etcd-service.ts";
import { INNERMOST, OUTERMOST, placeModule } from "./hook-order.ts";
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
 * app serves all requests, and is gone before Nest calls the first `onModuleDestroy` of another module, in which
 * databases are closed, and before it closes the server. An app without HTTP is registered after all other modules have
 * started.
 *
 * Not guaranteed: anything on a signal without `enableShutdownHooks()`: the process ends, and the key with its lease.
 * Nor that it drains first on `close()` of an app of `NestFactory.createMicroservice()`: Nest closes the server before
 * it calls any hook; on signals it does not. With `return503OnClosing` of Nest 12 the app answers 503 while it drains.
 * Nest documents no way to be the first whose hooks are called: this is tested with 10.4, 11.2 and 12.5, and a warning
 * of the process says when a release does not allow it.
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
      useFactory(this: unknown, host?: HttpAdapterHostLike) {
        placeModule(this, OUTERMOST);
        return new EtcdService(options, host);
      },
      inject: httpAdapterHost ? [httpAdapterHost] : [],
    };
    const end = {
      provide: EtcdServiceEnd,
      useFactory(this: unknown, etcd: EtcdService) {
        placeModule(this, INNERMOST);
        return new EtcdServiceEnd(etcd);
      },
      inject: [EtcdService],
    };
    const tokens = lists.map(({ provide }) => provide);
    const outermost = {
      module: EtcdServiceModule,
      providers: [service, ...lists],
      exports: [EtcdService, ...tokens],
    };
    return {
      module: EtcdRecipesModule,
      global: true,
      imports: [outermost],
      providers: [end],
      exports: [EtcdServiceModule],
    };
  }
}

/** What a list is injected by: `@Inject(servicesToken("orders")) orders: SubscribeService`. */
export function servicesToken(name: string): string {
  return `etcd-recipes:services:${name}`;
}

/** Has the EtcdService, apart from the global module, which cannot be the outermost. */
class EtcdServiceModule {}

/** The hooks at the other end of the order. Tests of an app can have replaced the EtcdService by anything. */
class EtcdServiceEnd {
  readonly #etcd: Partial<EtcdService>;

  constructor(etcd: Partial<EtcdService>) {
    this.#etcd = etcd;
  }

  /** In Nest 10 this is the first one. */
  async onModuleDestroy(): Promise<void> {
    await this.#etcd.onModuleDestroy?.();
  }

  /** From Nest 11 on this is the last one: others can call services of the lists until then. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all(Object.values(this.#etcd.services ?? {}).map((list) => list.close()));
  }
}
