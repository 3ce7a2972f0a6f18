import { constants } from "node:os";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import {
  type EtcdClient,
  type EtcdClientOptions,
  InvalidOptionError,
  type ReachableAddress,
  type ReadinessReport,
  reachableAddress,
  readiness,
  ServiceRegister,
  type ServiceRegisterOptions,
  type Shutdown,
  SubscribeService,
  type SubscribeServiceOptions,
  shutdown,
} from "../../recipes/index.ts";
import { checkObject, shown } from "../shared/check-object.ts";
import { checkRecipes, clientOf } from "../shared/check-recipes.ts";

const what = "etcdRecipes";
const DRAIN_MS = 2_000;
const TIMEOUT_MS = 25_000;
/** How long a registration takes at most to leave after it has drained. */
const LONGEST_LEAVE_MS = 5_000;

/** Options of the plugin. All may be left out. */
export interface EtcdRecipesOptions {
  /**
   * Where the app is registered once it listens, `/svc/orders/o1`. One that ends with a slash gets the address added.
   *
   * @default it is not registered
   */
  readonly key?: string | undefined;
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
  /**
   * Where readiness is answered, with 200 or 503: a path of Fastify, which begins with a slash unless the plugin around
   * this one has a prefix; false: nowhere.
   *
   * @default "/ready"
   */
  readonly readyPath?: string | false | undefined;
  /** On which signals the app drains, closes and ends the process; an empty list: none. @default SIGTERM, SIGINT */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** How long the app serves on after it is marked as draining, in milliseconds, at least 0. @default 2000 */
  readonly drainMs?: number | undefined;
  /** How long all of the end may take after a signal, in milliseconds, more than `drainMs`. @default 25000 */
  readonly timeoutMs?: number | undefined;
}

/** A prefix, and the options of its list. */
export interface SubscribedPrefix extends Omit<SubscribeServiceOptions, "client"> {
  readonly prefix: string;
}

/** What the plugin adds to an app, as `app.etcd`. */
export interface EtcdOfApp {
  /** The registration; undefined until the app listens, and without a key. */
  readonly registration: ServiceRegister | undefined;
  /** What `/ready` answers with. */
  ready(): ReadinessReport;
}

declare module "fastify" {
  interface FastifyInstance {
    readonly etcd: EtcdOfApp;
    /** The lists, by their names in `subscribe`. */
    readonly services: Readonly<Record<string, SubscribeService>>;
  }
}

/**
 * A plugin for Fastify 5: the app is registered when it listens, drains before it closes, and has lists.
 *
 * ```ts
 * await app.register(etcdRecipes, { key: "/svc/shop/", address: "10.0.0.5", subscribe: { orders: "/svc/orders/" } });
 * app.get("/", () => app.services.orders.call(({ address }) => fetch(`http://${address}/`)));
 * await app.listen({ port: 8080, host: "0.0.0.0" });
 * ```
 *
 * Guaranteed: on a signal the registration drains, while the app serves all requests; then the app is closed and the
 * process ends, as `shutdown()` says.
 *
 * Not guaranteed: the same for `app.close()`. Fastify answers requests with 503 from the moment that it is called,
 * before any hook, unless the app was made with `return503OnClosing: false`. The plugin drains there, too, within the
 * `pluginTimeout` of the app: it must be at least `drainMs` and 5 s, or 0, or a warning of the process says so.
 *
 * @throws InvalidOptionError that names the option; when the app listens on all interfaces without an `address`, it is
 *   not registered, is not ready, and a warning of the process says why
 */
export const etcdRecipes: FastifyPluginAsync<EtcdRecipesOptions> = Object.assign(
  async (app: FastifyInstance, options: EtcdRecipesOptions) => {
    check(app, options);
    warnIfCutShort(app, options);
    const lists: Record<string, SubscribeService> = {};
    try {
      for (const [name, given] of Object.entries(options.subscribe ?? {})) {
        const { prefix, ...others } = typeof given === "string" ? { prefix: given } : given;
        lists[name] = new SubscribeService(prefix, { ...others, ...clientOf(options.client) });
      }
      extend(app, options, lists);
    } catch (error) {
      await closeAll(lists);
      throw error;
    }
  },
  // The app itself is decorated, not a part of it; what fastify-plugin does.
  {
    [Symbol.for("skip-override")]: true,
    [Symbol.for("fastify.display-name")]: "etcd-recipes",
    [Symbol.for("plugin-meta")]: { name: "etcd-recipes", fastify: "5.x" },
  },
);

type Lists = Readonly<Record<string, SubscribeService>>;

function extend(app: FastifyInstance, options: EtcdRecipesOptions, lists: Lists): void {
  const {
    key,
    drainMs = DRAIN_MS,
    timeoutMs = TIMEOUT_MS,
    readyPath = "/ready",
    signals = ["SIGTERM", "SIGINT"],
  } = options;
  const all = Object.values(lists);
  const isReady = readiness(...all);
  let registration: ServiceRegister | undefined;
  let ends: string | undefined;
  let end: Shutdown | undefined;
  let missing = key === undefined ? undefined : "the app does not listen yet";
  const ready = () => {
    const own = registration ? readiness(registration)().reasons : [missing].filter((it) => it !== undefined);
    const reasons = ends === undefined ? [...own, ...isReady().reasons] : [ends];
    return { ready: reasons.length === 0, reasons };
  };

  app.decorate("services", lists);
  app.decorate("etcd", {
    get registration() {
      return registration;
    },
    ready,
  });
  if (readyPath !== false) {
    app.get(readyPath, (_, reply) => {
      const report = ready();
      return reply.code(report.ready ? 200 : 503).send(report);
    });
  }
  app.addHook("onListen", async () => {
    if (key === undefined || ends !== undefined) return;
    try {
      const address = reachableAddress(app.server.address(), options.address, what);
      const place = key.endsWith("/") ? `${key}${address}` : key;
      registration = new ServiceRegister(place, address, options.ttlSeconds ?? 5, {
        ...options.registration,
        ...clientOf(options.client),
      });
    } catch (error) {
      // Fastify only logs what this hook throws.
      missing = (error as Error).message;
      process.emitWarning(error as Error);
      throw error;
    }
  });
  app.addHook("onListen", async () => {
    if (signals.length === 0 || ends !== undefined) return;
    const recipes = [...(registration ? [registration] : []), ...all];
    end = shutdown({ recipes, servers: [serverOf(app)], signals, drainMs, timeoutMs });
  });
  app.addHook("preClose", async () => {
    ends = "the app is being closed";
    await registration?.close({ drainMs });
  });
  // Requests that are under way may need the lists; this hook comes before the server has finished them.
  app.addHook("onClose", async () => {
    end?.cancel();
    if (app.server.listening) app.server.once("close", () => closeAll(lists));
    else await closeAll(lists);
  });
}

async function closeAll(lists: Lists): Promise<void> {
  await Promise.all(Object.values(lists).map((list) => list.close()));
}

/** Fastify gives each hook of `app.close()` the time that a plugin has to load, and then stops the server. */
function warnIfCutShort({ initialConfig }: FastifyInstance, { key, drainMs = DRAIN_MS }: EtcdRecipesOptions): void {
  const { pluginTimeout = 0 } = initialConfig;
  const needed = drainMs + LONGEST_LEAVE_MS;
  if (key === undefined || pluginTimeout === 0 || pluginTimeout >= needed) return;
  const wanted = `a pluginTimeout of the app of at least ${needed} ms, or 0`;
  const problem = `of ${drainMs} ms needs ${wanted}, not ${pluginTimeout}`;
  process.emitWarning(
    new InvalidOptionError(what, "drainMs", `${problem}: app.close() stops the server before it is over`),
  );
}

/** The app, as `shutdown()` closes a server. */
function serverOf(app: FastifyInstance) {
  const { server } = app;
  return {
    prependListener: server.prependListener.bind(server),
    closeIdleConnections: () => server.closeIdleConnections?.(),
    closeAllConnections: () => server.closeAllConnections?.(),
    close: async () => app.close(),
  };
}

const names = new Set<string>([
  "key",
  "address",
  "ttlSeconds",
  "registration",
  "subscribe",
  "client",
  "readyPath",
  "signals",
  "drainMs",
  "timeoutMs",
  // Fastify's own.
  "prefix",
  "logLevel",
  "logSerializers",
]);

function check(app: FastifyInstance, options: EtcdRecipesOptions): void {
  checkObject(what, "options", options);
  for (const name of Object.keys(options)) {
    if (!names.has(name)) throw new InvalidOptionError(what, name, `is no option: they are ${[...names].join(", ")}`);
  }
  checkRecipes(what, options);
  const { readyPath } = options;
  const isPath = typeof readyPath === "string" && /^[/*]/.test(app.prefix + readyPath);
  if (readyPath !== undefined && readyPath !== false && !isPath) {
    const problem = `must be a path such as /ready, which begins with a slash, or false, not ${shown(readyPath)}`;
    throw new InvalidOptionError(what, "readyPath", problem);
  }
  checkEnd(options);
}

/** Here, since what `shutdown()` throws when the app listens is only logged by Fastify. */
function checkEnd({ signals, drainMs, timeoutMs }: EtcdRecipesOptions): void {
  if (signals !== undefined && !(Array.isArray(signals) && signals.every(isSignal))) {
    throw new InvalidOptionError(what, "signals", "must be a list of signals that can be listened to, such as SIGTERM");
  }
  for (const [name, value] of Object.entries({ drainMs, timeoutMs })) {
    if (value !== undefined && !(typeof value === "number" && value >= 0 && value < 2 ** 31)) {
      const problem = `must be a number of milliseconds, at least 0 and below 2^31, not ${shown(value)}`;
      throw new InvalidOptionError(what, name, problem);
    }
  }
  // Where the app has no signals, there is no limit to keep.
  if (signals?.length === 0) return;
  const [drain, most] = [drainMs ?? DRAIN_MS, timeoutMs ?? TIMEOUT_MS];
  if (drain < most) return;
  const given = timeoutMs === undefined ? `${most}, its default` : most;
  throw new InvalidOptionError(what, "timeoutMs", `must be more than drainMs, which is ${drain} ms, not ${given}`);
}

function isSignal(name: unknown): boolean {
  return typeof name === "string" && name in constants.signals && name !== "SIGKILL" && name !== "SIGSTOP";
}
