import "reflect-metadata";
import type { INestApplication } from "@nestjs/common";
import { HttpAdapterHost, NestFactory } from "@nestjs/core";
import { HealthCheckService, type HealthIndicatorResult, TerminusModule } from "@nestjs/terminus";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import {
  EtcdRecipesModule,
  type EtcdRecipesModuleOptions,
  EtcdService,
  servicesToken,
} from "../../doors/nestjs/index.ts";
import type { SubscribeService } from "../../recipes/index.ts";
import { endUnderLoad } from "../support/load.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { runProgramFile } from "../support/run-program.ts";
import { until } from "../support/until.ts";

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
  const app = await appWith({ key: prefix, registration: { weight: 3 }, subscribe: { own: prefix, more: { prefix } } });
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
  [{ drainMs: -1 }, "drainMs", /at least 0 and below 2\^31, not -1/],
  [{ drainMs: Number.NaN }, "drainMs", /at least 0/],
  [{ drainMs: "200" }, "drainMs", /a number of milliseconds/],
  [{ drainMs: 2 ** 31 }, "drainMs", /below 2\^31/],
])("a bad option is refused by name, and with what is missing: %o", (options, option, message) => {
  const error = expect.objectContaining({ option, message: expect.stringMatching(message) });
  expect(() => EtcdRecipesModule.forRoot(options as never)).toThrow(error);
});
