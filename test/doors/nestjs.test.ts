import "reflect-metadata";
import { type DynamicModule, type INestApplication, Inject } from "@nestjs/common";
import { HttpAdapterHost, NestFactory } from "@nestjs/core";
import { HealthCheckService, type HealthIndicatorResult, TerminusModule } from "@nestjs/terminus";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { placeModule } from "../../doors/nestjs/hook-order.ts";
import {
  EtcdRecipesModule,
  type EtcdRecipesModuleOptions,
  EtcdService,
  servicesToken,
} from "../../doors/nestjs/index.ts";
import { P2c, type RegistrationCodec, SubscribeService } from "../../recipes/index.ts";
import { endUnderLoad } from "../support/load.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { runProgramFile } from "../support/run-program.ts";
import { until } from "../support/until.ts";

/** Of the user's own: all addresses are URLs. */
const onlyUrls: RegistrationCodec = {
  name: "only-urls",
  encode: ({ address }) => new URL(address).href,
  decode: (value) => ({ address: value }),
};

const built = (name: string) => new URL(`../../dist/esm/${name}.js`, import.meta.url).href;

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

async function appWith(options: EtcdRecipesModuleOptions): Promise<INestApplication> {
  class App {}
  const etcd = EtcdRecipesModule.forRoot({
    client: lab.etcd,
    httpAdapterHost: HttpAdapterHost,
    drainMs: 200,
    ...options,
  });
  const app = await NestFactory.create({ module: App, imports: [etcd, TerminusModule] }, { logger: false });
  lab.also(() => app.close());
  return app;
}

/** A provider that looks at the registration and the server whenever Nest ends a part of the app. */
class Database {
  readonly seen: Record<string, unknown> = {};
  readonly #etcd: EtcdService;
  #isOpen = true;

  constructor(etcd: EtcdService) {
    this.#etcd = etcd;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  async onModuleDestroy(): Promise<void> {
    this.#isOpen = false;
    await this.#look("onModuleDestroy");
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.#look("beforeApplicationShutdown");
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#look("onApplicationShutdown");
  }

  async #look(hook: string): Promise<void> {
    const { registration, services } = this.#etcd;
    const entry = await lab.etcd.get(registration?.key ?? "");
    this.seen[hook] = { registered: Boolean(entry), ready: this.#etcd.ready().ready, list: services.own?.status };
  }
}
Inject(EtcdService)(Database, undefined, 0);

/** A module that has a database, and gives it to those that import it. */
function databaseModule(imports: DynamicModule[] = [], global = false): DynamicModule {
  class DatabaseModule {}
  return { module: DatabaseModule, global, imports, providers: [Database], exports: [Database] };
}

/** What terminus says of the indicator. */
async function healthOf(app: INestApplication): Promise<unknown> {
  const etcd = app.get(EtcdService);
  const health = await app.resolve(HealthCheckService);
  const indicator = (): HealthIndicatorResult => etcd.isHealthy("etcd");
  return health.check([indicator]).then(
    ({ status, details }) => ({ status, details }),
    (error) => ({ code: error.getStatus(), status: error.getResponse().status, details: error.getResponse().details }),
  );
}

test("lists are closed when a later one cannot be made", async () => {
  const prefix = lab.newPrefix();
  const close = vi.spyOn(SubscribeService.prototype, "close");
  lab.also(async () => close.mockRestore());
  class App {}
  const second = { prefix, zone: "a" };
  const imports = [EtcdRecipesModule.forRoot({ client: lab.etcd, subscribe: { first: prefix, second } })];
  // What is wrong from the beginning is refused by forRoot().
  second.zone = "";
  const starting = NestFactory.create({ module: App, imports }, { logger: false, abortOnError: false });
  await expect(starting).rejects.toMatchObject({ option: "zone" });
  const closed = (close.mock.contexts as SubscribeService[]).map(({ prefix: of, status }) => [of, status]);
  expect(closed).toEqual([[prefix, "closed"]]);
});

test("SIGTERM under load: no request is refused, and each app ends by the signal", async () => {
  const prefix = lab.newPrefix();
  const start = async (name: string) => {
    const args = [built("recipes"), built("nestjs"), `${prefix}${name}`];
    const app = runProgramFile("nest-app.mjs", args, { ETCD_ENDPOINTS: lab.endpoint });
    lab.also(async () => app[Symbol.asyncDispose]());
    await Promise.race([app.firstLine, app.ended.then(() => expect.fail(app.output))]);
    return app;
  };
  const apps = await Promise.all([start("a"), start("b"), start("c")]);
  const services = lab.subscribe(prefix);
  await services.until((list) => list.length === 3);
  // Nest sends itself the signal once more when it has closed all.
  await endUnderLoad(services, apps.slice(1), "/work", "SIGTERM");
  expect(services.list().map(({ id }) => id)).toEqual(["a"]);
});

test("an app is registered where it listens, is healthy by terminus, has lists, and drains before it closes", async () => {
  const prefix = lab.newPrefix();
  const app = await appWith({
    key: prefix,
    registration: { weight: 3 },
    subscribe: { own: prefix, more: { prefix } },
    // Long enough for a request while it drains.
    drainMs: 2_000,
  });
  await app.init();
  expect(await healthOf(app)).toMatchObject({
    code: 503,
    status: "error",
    details: { etcd: { status: "down", reasons: expect.arrayContaining(["the app does not listen yet"]) } },
  });
  await app.listen(0, "127.0.0.1");
  const own: SubscribeService = app.get(servicesToken("own"));
  const [server] = await own.until((list) => list.length === 1);
  const address = (await app.getUrl()).slice("http://".length);
  expect(server).toMatchObject({ address, id: address, weight: 3 });
  await until(() => app.get(EtcdService).ready().ready);
  expect(await healthOf(app)).toEqual({ status: "ok", details: { etcd: { status: "up", reasons: [] } } });

  const watching = lab.subscribe(prefix);
  await watching.ready;
  const closing = app.close();
  await watching.until(([last]) => last?.draining === true);
  expect((await fetch(`http://${address}/`)).headers.get("connection")).toBe("close");
  expect(await healthOf(app)).toMatchObject({ details: { etcd: { reasons: ["the app is being closed"] } } });
  await closing;
  await watching.until((list) => list.length === 0);
  expect(own.status).toBe("closed");
});

test.each<[string, (etcd: DynamicModule) => DynamicModule]>([
  ["imported before it", (etcd) => ({ module: class App {}, imports: [databaseModule(), etcd] })],
  ["imported after it", (etcd) => ({ module: class App {}, imports: [etcd, databaseModule()] })],
  ["global, before it", (etcd) => ({ module: class App {}, imports: [databaseModule([], true), etcd] })],
  ["global, after it", (etcd) => ({ module: class App {}, imports: [etcd, databaseModule([], true)] })],
  ["one that imports it", (etcd) => ({ module: class App {}, imports: [databaseModule([etcd])] })],
  [
    "deep below the root",
    (etcd) => {
      const feature = { module: class Feature {}, imports: [databaseModule()] };
      return { module: class App {}, imports: [etcd, feature] };
    },
  ],
  ["the root itself", (etcd) => ({ module: class App {}, imports: [etcd], providers: [Database] })],
])("it has drained before Nest ends another module: %s", async (_, appModule) => {
  const prefix = lab.newPrefix();
  const etcd = EtcdRecipesModule.forRoot({
    client: lab.etcd,
    httpAdapterHost: HttpAdapterHost,
    key: prefix,
    // The bare address of a plain registration cannot say that it drains.
    registration: { weight: 2 },
    subscribe: { own: prefix },
    drainMs: 200,
  });
  const app = await NestFactory.create(appModule(etcd), { logger: false });
  lab.also(() => app.close());
  await app.listen(0, "127.0.0.1");
  const watching = lab.subscribe(prefix);
  await watching.until((list) => list.length === 1);
  await app.get(EtcdService).registration?.ready;
  const database = app.get(Database);

  const closing = app.close();
  await watching.until(([last]) => last?.draining === true);
  expect({ isOpen: database.isOpen, serves: app.getHttpServer().listening }).toEqual({ isOpen: true, serves: true });
  await closing;
  const drained = { registered: false, ready: false, list: "live" };
  expect(database.seen).toEqual({
    onModuleDestroy: drained,
    beforeApplicationShutdown: drained,
    onApplicationShutdown: drained,
  });
  expect(app.get(EtcdService).services.own?.status).toBe("closed");
});

test("two of them in one app are both registered, and both leave", async () => {
  const [first, second] = [lab.newPrefix(), lab.newPrefix()];
  const options = { client: lab.etcd, httpAdapterHost: HttpAdapterHost, drainMs: 0 };
  const imports = [first, second].map((key) => EtcdRecipesModule.forRoot({ ...options, key }));
  const app = await NestFactory.create({ module: class App {}, imports }, { logger: false });
  lab.also(() => app.close());
  await app.listen(0, "127.0.0.1");
  const lists = [lab.subscribe(first), lab.subscribe(second)];
  await Promise.all(lists.map((list) => list.until(({ length }) => length === 1)));
  await app.close();
  await Promise.all(lists.map((list) => list.until(({ length }) => length === 0)));
});

test("options may be instances of classes, with what they have of their own", async () => {
  const prefix = lab.newPrefix();
  class Client {
    readonly endpoints = lab.endpoint;
  }
  class Registration {
    readonly weight = 3;
  }
  class Config {
    readonly client = new Client();
    readonly address = "10.0.0.5:99";
    readonly drainMs = 0;
    readonly key = `${prefix}o1`;
    readonly registration = new Registration();
  }
  const imports = [EtcdRecipesModule.forRoot(new Config())];
  const app = await NestFactory.createApplicationContext({ module: class App {}, imports }, { logger: false });
  lab.also(() => app.close());
  const list = await lab.subscribe(prefix).until(({ length }) => length === 1);
  expect(list).toEqual([expect.objectContaining({ id: "o1", address: "10.0.0.5:99", weight: 3 })]);
});

test("an app that is closed twice drains once, and answers all the while", async () => {
  const prefix = lab.newPrefix();
  const app = await appWith({ key: prefix, registration: { weight: 2 }, drainMs: 2_000 });
  await app.listen(0, "127.0.0.1");
  const { registration } = app.get(EtcdService);
  await registration?.ready;
  const server = app.getHttpServer();
  const [url, listeners] = [await app.getUrl(), server.listenerCount("request")];
  const watching = lab.subscribe(prefix);
  await watching.ready;
  const closing = [app.close(), app.close()];
  await watching.until(([last]) => last?.draining === true);
  expect((await fetch(url)).status).toBe(404);
  expect(server.listenerCount("request")).toBe(listeners + 1);
  await Promise.all(closing);
  expect(registration?.status).toBe("closed");
});

test("an app that never listened closes, and one whose start failed was never registered", async () => {
  const unused = await appWith({ key: lab.newPrefix(), subscribe: { own: lab.newPrefix() } });
  await unused.close();
  expect(unused.get(EtcdService).services.own?.status).toBe("closed");

  const found: EtcdService[] = [];
  class Failing {
    readonly etcd: EtcdService;

    constructor(etcd: EtcdService) {
      this.etcd = etcd;
      found.push(etcd);
    }

    async onApplicationBootstrap(): Promise<void> {
      await lab.etcd.get("/");
      expect(this.etcd.registration).toBeUndefined();
      throw new Error("no database");
    }
  }
  Inject(EtcdService)(Failing, undefined, 0);
  const key = `${lab.newPrefix()}w1`;
  const etcd = EtcdRecipesModule.forRoot({ client: lab.etcd, key, address: "10.0.0.5:99" });
  const module = { module: class App {}, imports: [etcd], providers: [Failing] };
  const creating = NestFactory.createApplicationContext(module, { logger: false, abortOnError: false });
  await expect(creating).rejects.toThrow("no database");
  expect(found.map(({ registration }) => registration)).toEqual([undefined]);
});

test("a test of an app can replace the service by anything", async () => {
  // What overrideProvider() of @nestjs/testing does.
  const etcd = EtcdRecipesModule.forRoot({ key: "/svc/a", address: "10.0.0.5:99" });
  const fake = { provide: EtcdService, useValue: {} };
  const inner = etcd.imports?.[0] as DynamicModule;
  const replaced = { ...etcd, imports: [{ ...inner, providers: [fake] }] };
  const app = await NestFactory.create(
    { module: class App {}, imports: [replaced] },
    { logger: false, abortOnError: false },
  );
  await app.init();
  await app.close();
});

test("a version of Nest with another order of hooks is warned of", () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  try {
    for (const provider of [undefined, {}, { host: {} }]) placeModule(provider, 0);
    expect(warn).toHaveBeenCalledTimes(3);
    expect(warn.mock.lastCall?.[0]).toContain("does not know the order of hooks of this version of Nest");
  } finally {
    warn.mockRestore();
  }
});

test("an app without HTTP is registered when it has started, with the address that is given", async () => {
  const prefix = lab.newPrefix();
  class App {}
  const etcd = EtcdRecipesModule.forRoot({ client: lab.etcd, key: `${prefix}w1`, address: "10.0.0.5:99", drainMs: 0 });
  const app = await NestFactory.createApplicationContext({ module: App, imports: [etcd] }, { logger: false });
  lab.also(() => app.close());
  const [server] = await lab.subscribe(prefix).until((list) => list.length === 1);
  expect(server?.address).toBe("10.0.0.5:99");
});

test("an app on all interfaces without an address is not registered, is not ready, and says what is missing", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  try {
    const app = await appWith({ key: `${lab.newPrefix()}o1` });
    await app.listen(0, "0.0.0.0");
    expect(app.get(EtcdService).ready().reasons).toEqual([
      expect.stringMatching(/^EtcdRecipesModule\.forRoot: address must say by which address others reach the app/),
    ]);
    expect(warn).toHaveBeenCalledWith(expect.objectContaining({ option: "address" }));
  } finally {
    warn.mockRestore();
  }
});

test.each([
  [{ kee: "/svc/a" }, "kee", /is no option/],
  [{ key: "" }, "key", /must be a key/],
  [{ key: "/svc/a" }, "address", /HttpAdapterHost of @nestjs\/core/],
  [{ key: "/svc/a", address: "10.0.0.5" }, "address", /must be host:port/],
  [{ httpAdapterHost: "HttpAdapterHost" }, "httpAdapterHost", /npm install @nestjs\/core/],
  [{ address: 80 }, "address", /must be host:port/],
  [{ subscribe: { orders: {} } }, "subscribe.orders", /must be a prefix/],
  [{ subscribe: ["/svc/orders/"] }, "subscribe", /must be prefixes by name, such as \{ orders: "\/svc\/orders\/" \}/],
  [{ subscribe: "/svc/orders/" }, "subscribe", /must be prefixes by name/],
  [{ subscribe: null }, "subscribe", /must be prefixes by name/],
  [{ drainMs: -1 }, "drainMs", /at least 0 and below 2\^31, not -1/],
  [{ drainMs: Number.NaN }, "drainMs", /at least 0/],
  [{ drainMs: "200" }, "drainMs", /a number of milliseconds/],
  [{ drainMs: 2 ** 31 }, "drainMs", /below 2\^31/],
  [null, "options", /must be a plain object, not null/],
  [5, "options", /must be a plain object, not 5/],
  [[], "options", /must be a plain object, not an array/],
  [Promise.resolve({}), "options", /not a Promise: await it first/],
  [{ key: "/svc/a", ttlSeconds: 0 }, "ttlSeconds", /must be a whole number of seconds from 1 to 9000000000, not 0/],
  [{ key: "/svc/a", ttlSeconds: "5" }, "ttlSeconds", /not "5"/],
  [{ key: 5n }, "key", /must be a key such as .*, not 5n/],
  [{ key: "/svc/\ud800", address: "10.0.0.5:99" }, "key", /well-formed/],
  [{ key: "/svc/a", address: "10.0.0.5:99999" }, "address", /must have a port from 1 to 65535, not 99999/],
  [{ registration: 5 }, "registration", /must be an object of options of a ServiceRegister, not 5/],
  [{ registration: null }, "registration", /not null/],
  [{ registration: { weight: -1 } }, "registration.weight", /must be at least 0, not -1/],
  [{ registration: { wieght: 1 } }, "registration.wieght", /did you mean "weight"\?/],
  [{ registration: { client: {} } }, "registration.client", /is no option: give client beside registration/],
  [{ registration: { lease: "shared" }, client: {} }, "registration.lease", /cannot be shared/],
  [{ client: 5 }, "client", /must be an EtcdClient of this package, or options for one/],
  [{ client: null }, "client", /not null/],
  [{ client: { endpoints: "ftp://x" } }, "endpoints", /^EtcdClient: endpoints/],
  [{ subscribe: { a: "" } }, "subscribe.a", /must not be empty: that would be every key there is/],
  [{ subscribe: { a: { prefix: "" } } }, "subscribe.a.prefix", /must not be empty/],
  [{ subscribe: { a: { prefix: "/a/", zone: "" } } }, "subscribe.a.zone", /must not be empty/],
  [{ subscribe: { a: { prefix: "/a/", client: {} } } }, "subscribe.a.client", /give client beside subscribe/],
])("a bad option is refused by name, and with what is missing: %o", (options, option, message) => {
  const error = expect.objectContaining({ option, message: expect.stringMatching(message) });
  expect(() => EtcdRecipesModule.forRoot(options as never)).toThrow(error);
});

/** What the recipes take is taken here, too. */
test.each<[string, EtcdRecipesModuleOptions]>([
  ["a lease that is shared", { registration: { lease: "shared" } }],
  ["an address that is made later", { registration: { format: "kratos" }, address: () => "grpc://10.0.0.5:99" }],
  [
    "a codec that looks at an address that is made later",
    { registration: { format: onlyUrls }, address: () => "x://y" },
  ],
  ["without a key, an address that is empty", { key: undefined, address: "" }],
  ["without a key, any TTL", { key: undefined, ttlSeconds: 0 }],
  ["a Balancer", { subscribe: { own: { prefix: "/any/", balancer: new P2c() } } }],
  ["options for clients", { client: { endpoints: "http://127.0.0.1:9" }, subscribe: { own: "/any/" } }],
  ["what says nothing", { registration: undefined, subscribe: undefined, client: undefined, ttlSeconds: undefined }],
])("options that are right are taken: %s", (_, options) => {
  const given = { httpAdapterHost: HttpAdapterHost, key: "/any/shop/o1", ...options };
  expect(() => EtcdRecipesModule.forRoot(given)).not.toThrow();
});
