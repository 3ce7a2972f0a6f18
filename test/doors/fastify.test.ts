import fastify, { type FastifyInstance } from "fastify";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type EtcdRecipesOptions, etcdRecipes } from "../../doors/fastify/index.ts";
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

async function appWith(options: EtcdRecipesOptions): Promise<FastifyInstance> {
  // What app.close() itself drains, without a signal.
  const app = fastify({ return503OnClosing: false });
  await app.register(etcdRecipes, { client: lab.etcd, signals: [], drainMs: 200, ...options });
  lab.also(async () => {
    await app.close();
  });
  return app;
}

test("SIGTERM under load: no request is refused or answered with 503, and each app ends with 0", async () => {
  const prefix = lab.newPrefix();
  const start = async (name: string) => {
    const args = [built("recipes"), built("fastify"), `${prefix}${name}`];
    const app = runProgramFile("fastify-app.mjs", args, { ETCD_ENDPOINTS: lab.endpoint });
    lab.also(async () => app[Symbol.asyncDispose]());
    await Promise.race([app.firstLine, app.ended.then(() => expect.fail(app.output))]);
    return app;
  };
  const apps = await Promise.all([start("a"), start("b"), start("c")]);
  const services = lab.subscribe(prefix);
  await services.until((list) => list.length === 3);
  await endUnderLoad(services, apps.slice(1), "/work");
  expect(services.list().map(({ id }) => id)).toEqual(["a"]);
});

test("an app is registered where it listens, answers /ready, has lists, and drains before it closes", async () => {
  const prefix = lab.newPrefix();
  const app = await appWith({
    key: prefix,
    registration: { metadata: { zone: "a" } },
    subscribe: { own: prefix, first: { prefix, balancer: (list) => list[0] ?? expect.fail() } },
  });
  app.get("/", () => app.services.own?.list().map(({ address, metadata }) => ({ address, metadata })));
  const before = await app.inject("/ready");
  expect({ status: before.statusCode, reasons: before.json().reasons }).toMatchObject({
    status: 503,
    reasons: expect.arrayContaining(["the app does not listen yet"]),
  });

  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const ready = () => fetch(`${url}/ready`).then(async (response) => [response.status, await response.json()]);
  await until(async () => expect(await ready()).toEqual([200, { ready: true, reasons: [] }]) ?? true);
  await app.services.own?.until((list) => list.length === 1);
  const address = url.slice("http://".length);
  expect(await (await fetch(url)).json()).toEqual([{ address, metadata: { zone: "a" } }]);
  expect(app.services.first?.pick().key).toBe(`${prefix}${address}`);

  const watching = lab.subscribe(prefix);
  await watching.ready;
  const closing = app.close();
  await watching.until(([server]) => server?.draining === true);
  // It serves on, and says that it is no longer ready.
  expect(await ready()).toMatchObject([503, { ready: false }]);
  await closing;
  await watching.until((list) => list.length === 0);
  await until(() => app.services.own?.status === "closed");
});

test.each([
  ["10.0.0.5", /^10\.0\.0\.5:\d+$/],
  ["fd00::5", /^\[fd00::5\]:\d+$/],
  ["10.0.0.5:99", /^10\.0\.0\.5:99$/],
  [({ port }: { port: number }) => `host:${port + 1}`, /^host:\d+$/],
])("an app on all interfaces is registered with the address that is given: %s", async (address, expected) => {
  const prefix = lab.newPrefix();
  const app = await appWith({ key: `${prefix}o1`, address });
  await app.listen({ port: 0, host: "0.0.0.0" });
  const [server] = await lab.subscribe(prefix).until((list) => list.length === 1);
  expect(server?.address).toMatch(expected);
});

test("an app on all interfaces without an address is not registered, is not ready, and says what is missing", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  try {
    const app = await appWith({ key: `${lab.newPrefix()}o1` });
    await app.listen({ port: 0, host: "0.0.0.0" });
    const { reasons } = (await app.inject("/ready")).json();
    expect(reasons).toEqual([
      expect.stringMatching(
        /^etcdRecipes: address must say by which address others reach the app: .*"10\.0\.0\.5" gets/,
      ),
    ]);
    expect(warn).toHaveBeenCalledWith(expect.objectContaining({ code: "ETCD_INVALID_OPTION", option: "address" }));
  } finally {
    warn.mockRestore();
  }
});

test.each([
  [{ kee: "/svc/a" }, "kee"],
  [{ key: "" }, "key"],
  [{ address: 80 }, "address"],
  [{ subscribe: { orders: {} } }, "subscribe.orders"],
  [{ subscribe: ["/svc/orders/"] }, "subscribe"],
  [{ subscribe: "/svc/orders/" }, "subscribe"],
  [{ subscribe: null }, "subscribe"],
  [{ signals: "SIGTERM" }, "signals"],
  [{ signals: ["SIGFOO"] }, "signals"],
  [{ signals: ["SIGTERM", "SIGKILL"] }, "signals"],
  [{ drainMs: -1 }, "drainMs"],
  [{ drainMs: -1, signals: [] }, "drainMs"],
  [{ drainMs: "5" }, "drainMs"],
  [{ drainMs: Number.NaN }, "drainMs"],
  [{ timeoutMs: 2 ** 31 }, "timeoutMs"],
  [{ drainMs: 25_000 }, "timeoutMs"],
  [{ drainMs: 500, timeoutMs: 500 }, "timeoutMs"],
  [{ readyPath: "ready" }, "readyPath"],
  [{ readyPath: true }, "readyPath"],
  [{ readyPath: "" }, "readyPath"],
  [5, "options"],
  [[], "options"],
  [new Map(), "options"],
  [{ ttlSeconds: 0, key: "/svc/a" }, "ttlSeconds"],
  [{ ttlSeconds: "5", key: "/svc/a" }, "ttlSeconds"],
  [{ key: 5n }, "key"],
  [{ key: "/svc/\ud800" }, "key"],
  [{ address: "10.0.0.5:99999" }, "address"],
  [{ registration: 5 }, "registration"],
  [{ registration: null }, "registration"],
  [{ registration: { weight: -1 } }, "registration.weight"],
  [{ registration: { wieght: 1 } }, "registration.wieght"],
  [{ registration: { client: {} } }, "registration.client"],
  [{ registration: { lease: "shared" }, client: {} }, "registration.lease"],
  [{ registration: { format: { ...onlyUrls, name: "" } } }, "registration.format"],
  [{ address: "", key: "/svc/a" }, "address"],
  [{ registration: { format: "kratos" }, key: "/svc/a", address: "10.0.0.5:99" }, "address"],
  [{ client: 5 }, "client"],
  [{ client: null }, "client"],
  [{ client: { endpoints: "ftp://x" } }, "endpoints"],
  [{ subscribe: { a: "" } }, "subscribe.a"],
  [{ subscribe: { a: 5 } }, "subscribe.a"],
  [{ subscribe: { a: { prefix: "" } } }, "subscribe.a.prefix"],
  [{ subscribe: { a: { prefix: "/a/", zone: "" } } }, "subscribe.a.zone"],
  [{ subscribe: { a: { prefix: "/a/", outlierDetection: { windowMs: 0 } } } }, "subscribe.a.outlierDetection.windowMs"],
  [{ subscribe: { a: { prefix: "/a/", client: {} } } }, "subscribe.a.client"],
])("a bad option is refused by name, before the app listens: %o", async (options, option) => {
  const app = fastify();
  const error = { code: "ETCD_INVALID_OPTION", option };
  // Of null Fastify makes {}.
  await expect(app.register(etcdRecipes, options as never)).rejects.toMatchObject(error);
});

test.each([
  ["", "/ready", "/ready"],
  ["status", "/ready-", "/ready-status"],
  ["/ready", "/v1", "/v1/ready"],
  ["*", "", "/any/path"],
])("readiness is answered wherever Fastify takes the path: %o behind the prefix %o", async (readyPath, prefix, url) => {
  const app = fastify();
  lab.also(async () => {
    await app.close();
  });
  const options = { client: lab.etcd, signals: [], readyPath };
  await app.register(async (part) => part.register(etcdRecipes, options), { prefix });
  expect((await app.inject(url)).json()).toEqual({ ready: true, reasons: [] });
});

test("a drain that is longer than all of the end may take is refused in the words of the plugin", async () => {
  const app = fastify();
  await expect(app.register(etcdRecipes, { drainMs: 30_000 })).rejects.toThrow(
    "etcdRecipes: timeoutMs must be more than drainMs, which is 30000 ms, not 25000, its default",
  );
});

/** What the recipes take is taken here, too. */
test.each<[string, EtcdRecipesOptions]>([
  ["a lease that is shared", { registration: { lease: "shared" } }],
  ["an address that is made later", { registration: { format: "kratos" }, address: () => "grpc://10.0.0.5:99" }],
  [
    "a codec that looks at an address that is made later",
    { registration: { format: onlyUrls }, address: () => "x://y" },
  ],
  ["without a key, an address that is empty", { key: undefined, address: "" }],
  ["without a key, any TTL", { key: undefined, ttlSeconds: 0 }],
  ["a Balancer", { subscribe: { own: { prefix: "/any/", balancer: new P2c() } } }],
  ["no outlier detection", { subscribe: { own: { prefix: "/any/", outlierDetection: false } } }],
])("options that are right are taken: %s", async (_, options) => {
  const app = await appWith({ key: `${lab.newPrefix()}shop/o1`, ...options });
  await app.ready();
});

test("options may be instances of classes, with what they have of their own", async () => {
  const prefix = lab.newPrefix();
  class Client {
    readonly endpoints = lab.endpoint;
  }
  class Registration {
    readonly weight = 3;
  }
  class Followed {
    readonly prefix = prefix;
    readonly balancer = "p2c";
  }
  class Config {
    readonly client = new Client();
    readonly signals = [];
    readonly drainMs = 0;
    readonly key = `${prefix}o1`;
    readonly registration = new Registration();
    readonly subscribe = { own: new Followed() };
  }
  const app = fastify({ return503OnClosing: false });
  lab.also(async () => {
    await app.close();
  });
  await app.register(etcdRecipes, new Config());
  await app.listen({ port: 0, host: "127.0.0.1" });
  const list = await app.services.own?.until(({ length }) => length === 1);
  expect(list).toEqual([expect.objectContaining({ id: "o1", weight: 3 })]);
});

test("no method of a codec is called before the app listens", async () => {
  const called = () => expect.fail("it was called");
  const format: RegistrationCodec = { name: "own", encode: called, decode: called, carries: { draining: true } };
  const app = await appWith({ key: `${lab.newPrefix()}o1`, address: "10.0.0.5:99", registration: { format } });
  await app.ready();
});

test.each([
  [8_000, 10_000, /^etcdRecipes: drainMs of 8000 ms needs a pluginTimeout of the app of at least 13000 ms, or 0/],
  [8_000, 13_000, undefined],
  [8_000, 0, undefined],
  [undefined, undefined, undefined],
])(
  "a drain that Fastify would cut short is a warning: %s ms, pluginTimeout %s",
  async (drainMs, pluginTimeout, said) => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    try {
      const app = fastify(pluginTimeout === undefined ? {} : { pluginTimeout });
      await app.register(etcdRecipes, { client: lab.etcd, signals: [], key: "/any/o1", drainMs });
      await app.close();
      const messages = warn.mock.calls.map(([warning]) => (warning as Error).message);
      expect(messages).toEqual(said === undefined ? [] : [expect.stringMatching(said)]);
    } finally {
      warn.mockRestore();
    }
  },
);

test.each([
  ["a later one cannot be made", false],
  ["the app has such a decorator", true],
])("lists are closed when the plugin fails since %s", async (_, isTaken) => {
  const prefix = lab.newPrefix();
  const close = vi.spyOn(SubscribeService.prototype, "close");
  lab.also(async () => close.mockRestore());
  const app = fastify();
  if (isTaken) app.decorate("etcd", {} as never);
  const second = { prefix: `${prefix}other/`, zone: "a" };
  // What is wrong from the beginning is refused before a list is made: it becomes wrong when the plugin, which has
  // checked it, warns of the drain.
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {
    if (!isTaken) second.zone = "";
  });
  lab.also(async () => warn.mockRestore());
  const options = { client: lab.etcd, key: "/any/o1", drainMs: 8_000, subscribe: { first: prefix, second } };
  await expect(app.register(etcdRecipes, options)).rejects.toThrow(/zone|etcd/);
  const closed = (close.mock.contexts as SubscribeService[]).map(({ prefix: of, status }) => [of, status]);
  expect(closed).toEqual(
    isTaken
      ? [
          [prefix, "closed"],
          [`${prefix}other/`, "closed"],
        ]
      : [[prefix, "closed"]],
  );
});

test("options of the end that shutdown() takes are taken, and leave no listener before the app listens", async () => {
  const listeners = () => process.listenerCount("SIGTERM");
  const before = listeners();
  await appWith({ signals: ["SIGTERM"], drainMs: 30_000, timeoutMs: 40_000 });
  // No process ends by it: the drain has no limit.
  await appWith({ signals: [], drainMs: 30_000, timeoutMs: 100 });
  expect(listeners()).toBe(before);
});
