import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  request as startRequest,
} from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import * as undici6 from "undici";
import * as undici7 from "undici-7";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type EtcdOptions, etcd, type RequestOutcome } from "../../doors/undici/index.ts";
import type { SubscribeService } from "../../recipes/index.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { ServerFleet } from "../support/server-fleet.ts";
import { until } from "../support/until.ts";

/**
 * What users fetch with: the undici of Node (6 in Node 20 and 22, 7 in Node 24), and those of npm, in all pairs that
 * work.
 */
const fetchers = {
  "the fetch of Node with an agent of undici 6": { fetch: globalThis.fetch, Agent: undici6.Agent },
  "undici 6": { fetch: undici6.fetch, Agent: undici6.Agent },
  "undici 7": { fetch: undici7.fetch, Agent: undici7.Agent },
} as unknown as Record<string, { fetch: typeof globalThis.fetch; Agent: typeof undici6.Agent }>;
const names = Object.keys(fetchers);

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

/** A fetch that knows the list as `orders`. */
function fetchOf(name: string, services: SubscribeService, options: EtcdOptions = {}) {
  const { fetch, Agent } = fetchers[name] ?? expect.fail(name);
  const agent = new Agent();
  lab.also(() => agent.close());
  const dispatcher = agent.compose(etcd({ orders: services }, options));
  return (path: string, init: RequestInit = {}) =>
    fetch(`http://orders${path}`, { ...init, dispatcher } as unknown as RequestInit);
}

interface Registered {
  readonly services: SubscribeService;
  /** By server: `method path host` of each request. */
  readonly requests: string[][];
}

/** Registers servers of this process; a number is an address where none listens. */
async function registered(
  ...servers: (((request: IncomingMessage, response: ServerResponse) => void) | number)[]
): Promise<Registered> {
  const prefix = lab.newPrefix();
  const requests = servers.map(() => [] as string[]);
  for (const [index, answer] of servers.entries()) {
    let address = `127.0.0.1:${answer}`;
    if (typeof answer === "function") {
      const server: Server = createServer((request, response) => {
        requests[index]?.push(`${request.method} ${request.url} ${request.headers.host}`);
        answer(request, response);
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      lab.also(async () => {
        server.close();
        server.closeAllConnections();
      });
      address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }
    await lab.register(`${prefix}s${index}`, address, 5).ready;
  }
  // One after the other by their names, each test from the first on; a retry gets only those that were not tried.
  let turn = 0;
  const services = lab.subscribe(prefix, {
    balancer: (list) => {
      const id = `s${turn++ % servers.length}`;
      return list.find((server) => server.id === id) ?? list[0] ?? expect.fail();
    },
  });
  await services.ready;
  return { services, requests };
}

const ok = (_: IncomingMessage, response: ServerResponse) => void response.end("ok");
const echo = (request: IncomingMessage, response: ServerResponse) => void request.pipe(response);
const reset = (request: IncomingMessage) => void request.socket.destroy();
const failing = (_: IncomingMessage, response: ServerResponse) => void response.writeHead(503).end("busy");

test("of 10 000 fetches none is lost while servers die and others start", { timeout: 300_000 }, async () => {
  const prefix = lab.newPrefix();
  const servers = new ServerFleet("http", prefix, lab.cluster.endpoints);
  lab.also(() => servers[Symbol.asyncDispose]());
  const running = await Promise.all([servers.start(), servers.start(), servers.start()]);
  const services = lab.subscribe(prefix, { balancer: "p2c" });
  const all = names.map((name) => fetchOf(name, services, { attempts: 5 }));
  const answers = new Map<string, number>();
  const lost: unknown[] = [];
  let left = 10_000;
  const callers = Array.from({ length: 24 }, async (_, index) => {
    while (left-- > 0) {
      try {
        const response = await (all[index % all.length] ?? expect.fail())("/list");
        const { name } = (await response.json()) as { name: string };
        answers.set(name, (answers.get(name) ?? 0) + 1);
      } catch (error) {
        lost.push(error);
      }
    }
  });
  let killed = 0;
  for (let after = 9_000; after > 1_000; after -= 1_000) {
    await until(() => left < after, { timeoutMs: 60_000 });
    const next = servers.start();
    const [oldest] = running.splice(0, 1);
    oldest?.child.kill(killed++ % 2 === 0 ? "SIGKILL" : "SIGTERM");
    running.push(await next);
  }
  await Promise.all(callers);
  // A body that was cut off after its head came is the caller's to repeat: these servers send both at once.
  expect(lost).toEqual([]);
  expect([...answers.values()].reduce((sum, count) => sum + count)).toBe(10_000);
  expect(killed).toBe(8);
  expect(answers.size).toBeGreaterThan(3);
});

test.each(names)("%s: GET and PUT go on to another server after a reset and a 503", async (name) => {
  const { services, requests } = await registered(reset, failing, echo);
  const fetch = fetchOf(name, services);
  const response = await fetch("/a?b=1");
  expect({ status: response.status, text: await response.text() }).toEqual({ status: 200, text: "" });
  expect(requests).toEqual([["GET /a?b=1 orders"], ["GET /a?b=1 orders"], ["GET /a?b=1 orders"]]);

  // Nothing may be left of an answer that was held back.
  expect(await (await fetch("/again")).text()).toBe("");
});

test.each(names)(
  "%s: a POST that was sent is sent once, and one that reached no server goes to another one",
  async (name) => {
    const { services, requests } = await registered(1, echo, reset, failing);
    const fetch = fetchOf(name, services);
    const post = { method: "POST", body: "42" };
    // The first server refuses: nothing was read of the body.
    expect(await (await fetch("/pay", post)).text()).toBe("42");
    await expect(fetch("/pay", post)).rejects.toMatchObject({
      cause: expect.objectContaining({ code: expect.anything() }),
    });
    const answer = await fetch("/pay", post);
    expect({ status: answer.status, text: await answer.text() }).toEqual({ status: 503, text: "busy" });
    expect(requests).toEqual([[], ["POST /pay orders"], ["POST /pay orders"], ["POST /pay orders"]]);
  },
);

test.each(names)("%s: a POST without a body, which could be sent again, is sent once all the same", async (name) => {
  const { services, requests } = await registered(reset, failing, ok);
  const fetch = fetchOf(name, services);
  const post = { method: "POST" };
  await expect(fetch("/pay", post)).rejects.toMatchObject({
    cause: expect.objectContaining({ code: expect.anything() }),
  });
  expect((await fetch("/pay", post)).status).toBe(503);
  expect(requests).toEqual([["POST /pay orders"], ["POST /pay orders"], []]);
});

test.each(names)("%s: an answer may take its time, however many attempts there may be", async (name) => {
  const slow = (_: IncomingMessage, response: ServerResponse) => void setTimeout(() => response.end("ok"), 100);
  const { services, requests } = await registered(slow, slow);
  const response = await fetchOf(name, services, { attempts: 2 ** 31 })("/", { method: "POST" });
  expect(await response.text()).toBe("ok");
  expect(requests.flat()).toHaveLength(1);
});

test.each(names)("%s: servers that fail are left out, by the user's rule", async (name) => {
  const { services } = await registered((_, response) => void response.writeHead(404).end(), ok, ok);
  const ejected = new Promise((resolve) => services.once("ejected", (instance) => resolve(instance.id)));
  const fetch = fetchOf(name, services, { attempts: 1, isFailure: ({ status, error }) => status === 404 || !!error });
  for (let round = 0; round < 15; round++) await (await fetch("/")).text();
  expect(await ejected).toBe("s0");
  for (let round = 0; round < 6; round++) expect((await fetch("/")).status).toBe(200);
});

test.each(names)("%s: a fetch waits for a first server, within its time, and its signal ends it", async (name) => {
  const prefix = lab.newPrefix();
  const services = lab.subscribe(prefix);
  await services.ready;
  await expect(fetchOf(name, services, { waitMs: 50 })("/")).rejects.toMatchObject({
    cause: expect.objectContaining({ code: "ETCD_NO_SERVERS", state: "empty" }),
  });
  const fetch = fetchOf(name, services);
  const controller = new AbortController();
  const aborted = fetch("/", { signal: controller.signal });
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  const waiting = fetch("/");
  const other = await registered(ok);
  const [server] = other.services.list();
  lab.register(`${prefix}late`, server?.address ?? "", 5);
  expect(await (await waiting).text()).toBe("ok");
});

test.each(names)("%s: an abort during an attempt is the caller's, and counts against no server", async (name) => {
  const { services, requests } = await registered(
    () => {},
    () => {},
  );
  const report = services.report.bind(services);
  const reported: unknown[] = [];
  services.report = (...args) => {
    reported.push(args);
    report(...args);
  };
  const controller = new AbortController();
  const hanging = fetchOf(name, services)("/", { signal: controller.signal });
  await until(() => requests[0]?.length !== 0);
  controller.abort(new Error("enough"));
  await expect(hanging).rejects.toThrow("enough");
  expect([reported, requests[1]]).toEqual([[], []]);
});

test("the Host header is the service's name or the server's address, and other hosts pass untouched", async () => {
  const { services, requests } = await registered(ok);
  const [server] = services.list();
  const [name = ""] = names;
  await (await fetchOf(name, services, { hostHeader: "server" })("/a")).text();
  const dispatcher = new undici7.Agent().compose(etcd({ orders: services }));
  lab.also(() => dispatcher.close());
  await (await undici7.request(`http://${server?.address}/b`, { dispatcher })).body.text();
  await (await undici7.request("http://orders/c", { dispatcher, headers: { Host: "mine" } })).body.text();
  expect(requests).toEqual([[`GET /a ${server?.address}`, `GET /b ${server?.address}`, "GET /c mine"]]);
});

test("a stream that was begun is not sent again, also by PUT, and a large answer waits for its reader", async () => {
  const { services, requests } = await registered(reset, (_, response) => void response.end(Buffer.alloc(2 ** 20)), ok);
  for (const { Agent, request } of [undici6, undici7] as unknown as [typeof undici6]) {
    const dispatcher = new Agent().compose(etcd({ orders: services }));
    lab.also(() => dispatcher.close());
    const body = Readable.from(["a", "b"]);
    await expect(request("http://orders/", { method: "PUT", body, dispatcher })).rejects.toThrow();
    const { body: large } = await request("http://orders/", { dispatcher });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect((await large.arrayBuffer()).byteLength).toBe(2 ** 20);
    await (await request("http://orders/", { dispatcher })).body.text();
  }
  expect(requests.map(({ length }) => length)).toEqual([2, 2, 2]);
});

/** What the user's rule was asked for, and what was reported: each of them counts against a server. */
function countedAgainst(services: SubscribeService) {
  const counted: unknown[] = [];
  const report = services.report.bind(services);
  services.report = (server, error, ...more) => {
    counted.push(error);
    report(server, error, ...more);
  };
  const isFailure = ({ status = 0, error }: RequestOutcome) => {
    if (error !== undefined) counted.push(error);
    return status >= 500 || error !== undefined;
  };
  return { counted, isFailure };
}

const coded = (code: string) => Object.assign(new Error(`of the body: ${code}`), { code });

/** A body that fails after its first part, when the server has that. */
async function* broken(begun: () => boolean, error: Error) {
  yield "a";
  await until(begun);
  throw error;
}

test.each([
  ["undici 6", "a stream", undici6, Readable.from],
  ["undici 6", "an iterable", undici6, (parts: AsyncIterable<string>) => parts],
  ["undici 7", "a stream", undici7 as unknown as typeof undici6, Readable.from],
  ["undici 7", "an iterable", undici7 as unknown as typeof undici6, (parts: AsyncIterable<string>) => parts],
] as const)(
  "%s: %s that fails fails its request, and counts against no server",
  async (_name, _kind, undici, bodyOf) => {
    const { services, requests } = await registered(
      () => {},
      () => {},
    );
    const { counted, isFailure } = countedAgainst(services);
    const dispatcher = new undici.Agent().compose(etcd({ orders: services }, { isFailure }));
    lab.also(() => dispatcher.close());
    const sent = () => requests.flat().length;
    for (const [times, code] of ["EIO", "ECONNRESET", "EPIPE"].entries()) {
      const error = coded(code);
      const body = bodyOf(broken(() => sent() > times, error)) as Readable;
      const method = times === 0 ? "PUT" : "POST";
      const failing = undici.request("http://orders/", { method, body, dispatcher, idempotent: true });
      expect(await failing.catch((thrown) => thrown)).toBe(error);
    }
    expect([sent(), counted]).toEqual([3, []]);
  },
);

test("an uploading client that goes away counts against no server", async () => {
  const { services, requests } = await registered(
    () => {},
    () => {},
  );
  const { counted, isFailure } = countedAgainst(services);
  const dispatcher = new undici7.Agent().compose(etcd({ orders: services }, { isFailure }));
  lab.also(() => dispatcher.close());
  const failures: unknown[] = [];
  const { services: front } = await registered((body) => {
    undici7
      .request("http://orders/upload", { method: "POST", body, dispatcher })
      .catch((error) => failures.push(error.code));
  });
  const upload = startRequest(`http://${front.list()[0]?.address}/`, { method: "POST" });
  upload.on("error", () => {});
  upload.write("the first part");
  await until(() => requests.flat().length === 1);
  upload.destroy();
  await until(() => failures.length === 1);
  expect([failures, requests.flat().length, counted]).toEqual([["ECONNRESET"], 1, []]);
});

test.each(names)("%s: a body that fails fails its fetch, and counts against no server", async (name) => {
  const { services, requests } = await registered(
    () => {},
    () => {},
  );
  const { counted, isFailure } = countedAgainst(services);
  const fetch = fetchOf(name, services, { isFailure });
  const sent = () => requests.flat().length;
  const body = broken(() => sent() > 0, coded("EIO"));
  await expect(fetch("/", { method: "PUT", body, duplex: "half" } as never)).rejects.toThrow();
  expect([sent(), counted]).toEqual([1, []]);
});

test("a stream that fails while there is no server ends the wait", async () => {
  const services = lab.subscribe(lab.newPrefix());
  await services.ready;
  for (const { Agent, request } of [undici6, undici7] as unknown as [typeof undici6]) {
    const dispatcher = new Agent().compose(etcd({ orders: services }, { waitMs: 2 ** 31 - 1 }));
    lab.also(() => dispatcher.close());
    const body = new Readable({ read() {} });
    const waiting = request("http://orders/", { method: "POST", body, dispatcher });
    body.destroy(coded("EIO"));
    await expect(waiting).rejects.toMatchObject({ code: "EIO" });
  }
});

test("a server that resets while a stream is sent to it counts as failed", async () => {
  for (const undici of [undici6, undici7 as unknown as typeof undici6]) {
    for (const bodyOf of [(parts: AsyncIterable<string>) => Readable.from(parts), (parts: unknown) => parts]) {
      const { services, requests } = await registered((request) => void request.once("data", () => reset(request)));
      const { counted, isFailure } = countedAgainst(services);
      const dispatcher = new undici.Agent().compose(etcd({ orders: services }, { isFailure }));
      lab.also(() => dispatcher.close());
      const body = bodyOf(endless()) as Readable;
      const error = await undici.request("http://orders/", { method: "PUT", body, dispatcher }).catch((it) => it);
      expect(error).toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/) });
      expect([requests.flat().length, counted]).toEqual([1, [error, error]]);
    }
  }
});

async function* endless() {
  for (;;) {
    yield "a".repeat(2 ** 16);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function filled<Form extends { append(name: string, value: string): void }>(form: Form): Form {
  form.append("name", "x");
  return form;
}

/** Like one of another copy of undici, or of a polyfill. */
const foreignFile = () => {
  const file = new File(["x"], "x.txt");
  const { size, type } = file;
  const methods = { stream: () => file.stream(), arrayBuffer: () => file.arrayBuffer() };
  return { size, type, ...methods, [Symbol.toStringTag]: "File" };
};

test.each([
  ["FormData of undici 6", undici6, () => filled(new undici6.FormData())],
  ["FormData of undici 7", undici7 as unknown as typeof undici6, () => filled(new undici7.FormData())],
  ["a Blob", undici6, () => new Blob(["x"])],
  ["a File of another copy", undici7 as unknown as typeof undici6, foreignFile],
])("a body that is %s is sent, and by PUT once more after a reset", async (_, { Agent, request }, body) => {
  const { services, requests } = await registered(reset, echo);
  const { counted, isFailure } = countedAgainst(services);
  const dispatcher = new Agent().compose(etcd({ orders: services }, { isFailure }));
  lab.also(() => dispatcher.close());
  const { body: answer } = await request("http://orders/", { method: "PUT", body: body() as never, dispatcher });
  expect(await answer.text()).toContain("x");
  expect(requests.map(({ length }) => length)).toEqual([1, 1]);
  expect(counted).toEqual([expect.objectContaining({ code: expect.any(String) })]);
});

test.each([
  ["an object", {}],
  ["a number", 42],
  ["pairs of a form", new URLSearchParams({ a: "1" })],
])("a body that is %s is refused by undici, and counts against no server", async (_, body) => {
  const { services } = await registered(ok, ok);
  const { counted, isFailure } = countedAgainst(services);
  for (const { Agent, request } of [undici6, undici7] as unknown as [typeof undici6]) {
    const dispatcher = new Agent().compose(etcd({ orders: services }, { isFailure }));
    lab.also(() => dispatcher.close());
    const refused = request("http://orders/", { method: "PUT", body: body as never, dispatcher });
    await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/INVALID_ARG/) });
  }
  expect(counted).toEqual([]);
});

test("what the dispatcher throws is the caller's: it counts against no server, and nothing is sent again", async () => {
  const { services } = await registered(ok, ok);
  const { counted, isFailure } = countedAgainst(services);
  let times = 0;
  const throwing = () => (_options: unknown, _handler: unknown) => {
    times++;
    throw new Error("interceptor");
  };
  for (const { Agent, request } of [undici6, undici7] as unknown as [typeof undici6]) {
    const dispatcher = new Agent().compose(throwing, etcd({ orders: services }, { isFailure }));
    lab.also(() => dispatcher.close());
    await expect(request("http://orders/", { method: "POST", dispatcher })).rejects.toThrow("interceptor");
  }
  expect({ times, counted }).toEqual({ times: 2, counted: [] });
});

test.each([
  [{}, {}, "services"],
  [{ Orders: {} }, {}, "services"],
  [[{ call() {}, report() {} }], {}, "services"],
  [{ orders: {} }, {}, "services.orders"],
  [undefined, { attempts: 0 }, "attempts"],
  [undefined, { waitMs: -1 }, "waitMs"],
  [undefined, { isFailure: 1 }, "isFailure"],
  [undefined, { hostHeader: "both" }, "hostHeader"],
  [undefined, { key: "k" }, "key"],
  [undefined, { retries: 1 }, "retries"],
  [undefined, null, "options"],
  [undefined, 5, "options"],
  [undefined, [], "options"],
  [undefined, { waitMs: "1" }, "waitMs"],
  [undefined, { attempts: "3" }, "attempts"],
  [undefined, { toString: 1 }, "toString"],
])("a bad argument is refused by name: %o, %o", (services, options, option) => {
  const given = services ?? { orders: lab.subscribe("/any/") };
  expect(() => etcd(given as never, options as never)).toThrow(expect.objectContaining({ option }));
});
