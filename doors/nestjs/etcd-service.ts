import type { Server, ServerResponse } from "node:http";
import {
  type ReadinessReport,
  reachableAddress,
  readiness,
  ServiceRegister,
  SubscribeService,
} from "../../recipes/index.ts";
import { clientOf } from "../shared/check-recipes.ts";
import type { EtcdRecipesModuleOptions, HttpAdapterHostLike } from "./module-options.ts";

/** A result of a health indicator, as terminus 11 takes it. */
export type EtcdHealth<Key extends string> = Record<Key, { status: "up" | "down"; reasons: readonly string[] }>;

/**
 * The registration and the lists of an app, as the EtcdRecipesModule provides them. It follows the life of the app by
 * the hooks of Nest.
 */
export class EtcdService {
  /** The lists, by their names in `subscribe`. */
  readonly services: Readonly<Record<string, SubscribeService>>;
  readonly #options: EtcdRecipesModuleOptions;
  readonly #host: HttpAdapterHostLike | undefined;
  #registration: ServiceRegister | undefined;
  #missing: string | undefined;
  #drained: Promise<void> | undefined;

  /** @internal */
  constructor(options: EtcdRecipesModuleOptions, host: HttpAdapterHostLike | undefined) {
    const { subscribe = {}, key, client } = options;
    this.#options = options;
    this.#host = host;
    this.#missing = key === undefined ? undefined : "the app does not listen yet";
    const services: Record<string, SubscribeService> = {};
    this.services = services;
    try {
      for (const [name, given] of Object.entries(subscribe)) {
        const { prefix, ...others } = typeof given === "string" ? { prefix: given } : given;
        services[name] = new SubscribeService(prefix, { ...others, ...clientOf(client) });
      }
    } catch (error) {
      for (const list of Object.values(services)) void list.close();
      throw error;
    }
  }

  /** The registration; undefined until the app listens, and without a key. */
  get registration(): ServiceRegister | undefined {
    return this.#registration;
  }

  /** Whether the app is registered and has its lists, and is not being closed. It asks etcd nothing. */
  ready(): ReadinessReport {
    if (this.#drained) return { ready: false, reasons: ["the app is being closed"] };
    const lists = Object.values(this.services);
    const { reasons: all } = readiness(...(this.#registration ? [this.#registration] : []), ...lists)();
    const reasons = this.#missing === undefined ? all : [this.#missing, ...all];
    return { ready: reasons.length === 0, reasons };
  }

  /**
   * An indicator for `@nestjs/terminus` 11.
   *
   * ```ts
   * this.health.check([async () => this.etcd.isHealthy("etcd")]);
   * ```
   */
  isHealthy<Key extends string>(key: Key): EtcdHealth<Key> {
    const { ready, reasons } = this.ready();
    return { [key]: { status: ready ? "up" : "down", reasons } } as EtcdHealth<Key>;
  }

  /** Nest calls it before the app listens, and after it has called all others. @internal */
  onApplicationBootstrap(): void {
    if (this.#options.key === undefined) return;
    const server = this.#server();
    if (!server || server.listening) this.#register(server);
    else server.once("listening", () => this.#register(server));
  }

  /** Nest calls it when the app is to be closed, before it calls any other. @internal */
  onModuleDestroy(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async #drain(): Promise<void> {
    // A client that would keep a connection sends no request on one that is about to be closed.
    this.#server()?.prependListener("request", (_: unknown, response: ServerResponse) => {
      if (!response.headersSent && response.req?.httpVersionMajor === 1) response.setHeader("connection", "close");
    });
    await this.#registration?.close({ drainMs: this.#options.drainMs ?? 2_000 });
  }

  #server(): Server | undefined {
    return this.#host?.httpAdapter?.getHttpServer() as Server | undefined;
  }

  #register(server: Server | undefined): void {
    const { key, address: given, ttlSeconds = 5, registration, client } = this.#options;
    if (key === undefined || this.#drained) return;
    try {
      const address = reachableAddress(server?.address(), given, "EtcdRecipesModule.forRoot");
      const place = key.endsWith("/") ? `${key}${address}` : key;
      this.#registration = new ServiceRegister(place, address, ttlSeconds, { ...registration, ...clientOf(client) });
      this.#missing = undefined;
    } catch (error) {
      // The event of a server: what is thrown here would end the process.
      this.#missing = (error as Error).message;
      process.emitWarning(error as Error);
    }
  }
}
