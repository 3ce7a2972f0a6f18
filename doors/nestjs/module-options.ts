import {
  type EtcdClient,
  type EtcdClientOptions,
  InvalidOptionError,
  type ReachableAddress,
  type ServiceRegisterOptions,
  type SubscribeServiceOptions,
} from "../../recipes/index.ts";
import { checkObject, shown } from "../shared/check-object.ts";
import { checkRecipes } from "../shared/check-recipes.ts";

const what = "EtcdRecipesModule.forRoot";

/** What is used of Nest's HttpAdapterHost. */
export interface HttpAdapterHostLike {
  readonly httpAdapter: { getHttpServer(): unknown };
}

/** Options of `EtcdRecipesModule.forRoot()`. All may be left out. */
export interface EtcdRecipesModuleOptions {
  /**
   * Where the app is registered, `/svc/orders/o1`. One that ends with a slash gets the address added.
   *
   * @default it is not registered
   */
  readonly key?: string | undefined;
  /**
   * The class `HttpAdapterHost` of `@nestjs/core`: the app is registered once its server listens. Without it, as in an
   * app without HTTP, it is registered when it has started, with an `address` that has a port.
   *
   * @default none
   */
  readonly httpAdapterHost?: (abstract new (...args: never[]) => HttpAdapterHostLike) | undefined;
  /**
   * By which address others reach the app: `host:port`, a host that gets the port, or what makes one of where it
   * listens.
   *
   * @default where it listens, which must not be all interfaces
   */
  readonly address?: ReachableAddress | undefined;
  /** How long the registration outlives the process, in seconds. @default 5 */
  readonly ttlSeconds?: number | undefined;
  /** Options of the ServiceRegister: metadata, weight, health and so on. @default as it says */
  readonly registration?: Omit<ServiceRegisterOptions, "client"> | undefined;
  /** What is followed: prefixes by name, or a prefix with options of the SubscribeService. @default nothing */
  readonly subscribe?: Readonly<Record<string, string | SubscribedPrefix>> | undefined;
  /** For all of it: a client, which is not closed, or options for clients that are. @default `defaultClient()` */
  readonly client?: EtcdClient | EtcdClientOptions | undefined;
  /** How long the app serves on after it is marked as draining, in milliseconds, at least 0. @default 2000 */
  readonly drainMs?: number | undefined;
}

/** A prefix, and the options of its list. */
export interface SubscribedPrefix extends Omit<SubscribeServiceOptions, "client"> {
  readonly prefix: string;
}

const names: readonly string[] = [
  "key",
  "httpAdapterHost",
  "address",
  "ttlSeconds",
  "registration",
  "subscribe",
  "client",
  "drainMs",
];

/** @throws InvalidOptionError that names the option */
export function checkOptions(options: EtcdRecipesModuleOptions): void {
  checkObject(what, "options", options);
  for (const name of Object.keys(options)) {
    if (!names.includes(name)) throw new InvalidOptionError(what, name, `is no option: they are ${names.join(", ")}`);
  }
  const { key, httpAdapterHost, address, drainMs } = options;
  if (httpAdapterHost !== undefined && typeof httpAdapterHost !== "function") {
    const problem = "must be the class HttpAdapterHost (npm install @nestjs/core)";
    throw new InvalidOptionError(what, "httpAdapterHost", `${problem}, not ${shown(httpAdapterHost)}`);
  }
  checkRecipes(what, options);
  if (key !== undefined && httpAdapterHost === undefined && !/:\d+$|^unix:/.test(String(address))) {
    const problem = "must be host:port, or give httpAdapterHost, the class HttpAdapterHost of @nestjs/core";
    throw new InvalidOptionError(what, "address", `${problem}: then the app is registered where it listens`);
  }
  if (drainMs !== undefined && !(typeof drainMs === "number" && drainMs >= 0 && drainMs < 2 ** 31)) {
    const problem = `must be a number of milliseconds, at least 0 and below 2^31, not ${shown(drainMs)}`;
    throw new InvalidOptionError(what, "drainMs", problem);
  }
}
