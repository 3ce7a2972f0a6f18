import { setTimeout as sleep } from "node:timers/promises";
// biome-ignore lint/style/noRestrictedImports: the package that the door is for
import * as grpc from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { type EtcdResolver, type EtcdResolverOptions, registerEtcdResolver } from "../../doors/grpc-js/index.ts";
import type { ServiceRegister } from "../../recipes/index.ts";
import { EtcdClient, prefix as keysBelow } from "../../src/index.ts";
import { startEtcd } from "../../testing/index.ts";
import { startDeafServer } from "../support/deaf-server.ts";
import { ForwardingEtcd } from "../support/forwarding-etcd.ts";
import { type GrpcJsServer, startGrpcJsServer } from "../support/grpc-js-server.ts";
import { RegistryLab } from "../support/registry-lab.ts";
import { ServerFleet } from "../support/server-fleet.ts";
import { until } from "../support/until.ts";

const retried = {
  name: [{}],
  retryPolicy: {
    maxAttempts: 5,
    initialBackoff: "0.01s",
    maxBackoff: "0.1s",
    backoffMultiplier: 2,
    retryableStatusCodes: ["UNAVAILABLE"],
  },
};

let lab: RegistryLab;

beforeAll(async () => {
  lab = await RegistryLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

function resolver(options: EtcdResolverOptions = {}): EtcdResolver {
  const registered = registerEtcdResolver(grpc, { client: lab.client(), ...options });
  lab.also(() => registered.close());
  return registered;
}

function channelTo(
  prefix: string,
  policy = "round_robin",
  methodConfig: readonly unknown[] = [],
  options: grpc.ChannelOptions = {},
): grpc.Client {
  const config = JSON.stringify({ loadBalancingConfig: [{ [policy]: {} }], methodConfig });
  // The prefix begins with a slash, which a target has after its own.
  const client = new grpc.Client(`etcd:///${prefix}`, grpc.credentials.createInsecure(), {
    "grpc.service_config": config,
    // Channels of different tests share no connection.
    "grpc.use_local_subchannel_pool": 1,
    ...options,
  });
  lab.also(async () => client.close());
  return client;
}

/** The connection ended within the answer. gRPC repeats no call whose answer has begun (gRFC A6, "committed"). */
class AnswerCutError extends Error {}

/** Asks a server for its name. */
function say(client: grpc.Client, { waitForReady = true, timeoutMs = 20_000 } = {}): Promise<string> {
  const raw = (bytes: Buffer) => bytes;
  const metadata = new grpc.Metadata({ waitForReady });
  return new Promise((resolve, reject) => {
    const options = { deadline: Date.now() + timeoutMs };
    let begun = false;
    const call = client.makeUnaryRequest(
      "/test.Echo/Say",
      raw,
      raw,
      Buffer.from("?"),
      metadata,
      options,
      (error, answer) => {
        if (!error) return resolve(String(answer));
        reject(begun ? new AnswerCutError("the server died in its answer", { cause: error }) : error);
      },
    );
    call.on("metadata", () => {
      begun = true;
    });
  });
}

function fleet(prefix: string): ServerFleet {
  const servers = new ServerFleet("grpc", prefix, lab.cluster.endpoints);
  lab.also(() => servers[Symbol.asyncDispose]());
  return servers;
}

/** The shortest time that grpc-js takes, in place of 30 minutes. */
const idlesSoon = { "grpc.client_idle_timeout_ms": 1_000 };

function untilIdle(client: grpc.Client): Promise<unknown> {
  return until(() => client.getChannel().getConnectivityState(false) === grpc.connectivityState.IDLE);
}

const closedError = { code: grpc.status.UNAVAILABLE, details: "the resolver of etcd: is closed" };

interface RegisteredServer {
  readonly registration: ServiceRegister;
  readonly port: number;
  stop(): void;
}

/** A server in this process that answers with its name, registered for longer than the outages here. */
async function serve(prefix: string, name: string, port = 0): Promise<RegisteredServer> {
  const started: GrpcJsServer = await startGrpcJsServer(
    {
      "/test.Echo/Say": (call) => {
        call.resume().on("end", () => {
          call.write(Buffer.from(name));
          call.end();
        });
      },
    },
    {},
    port,
  );
  const stop = () => void started[Symbol.asyncDispose]();
  lab.also(async () => stop());
  const { port: bound } = started.target;
  return { registration: lab.register(`${prefix}${name}`, `127.0.0.1:${bound}`, 60), port: bound, stop };
}

interface GivenEndpoints {
  readonly ok: boolean;
  readonly value: readonly { readonly addresses: readonly [{ readonly port: number }] }[];
  readonly error: grpc.StatusObject;
}

/** What the resolver gives a channel, without a channel: lists of ports, and errors. */
function listenerOn(prefix: string) {
  const heard: (readonly number[] | string)[] = [];
  const listener = ({ ok, value, error }: GivenEndpoints) =>
    heard.push(ok ? value.map(({ addresses: [{ port }] }) => port) : error.details) > 0;
  const uri = { scheme: "etcd", authority: "", path: prefix };
  const resolver = grpc.experimental.createResolver(uri, listener as never, {});
  lab.also(async () => resolver.destroy());
  return { heard, resolver };
}

/** Who answers these channels, in turn. */
async function answersOf(client: grpc.Client, calls = 8): Promise<string[]> {
  const names = new Set<string>();
  for (let call = 0; call < calls; call++) names.add(await say(client));
  return [...names].sort();
}

test("two servers are killed and started under load, and no unary call with wait-for-ready fails, but one whose answer was cut", async () => {
  const prefix = lab.newPrefix();
  const servers = fleet(prefix);
  resolver();
  const client = channelTo(prefix, "round_robin", [retried]);
  const failures: unknown[] = [];
  const cut: unknown[] = [];
  const answers = new Map<string, number>();
  let under = true;
  const callers = Array.from({ length: 6 }, async () => {
    while (under) {
      await say(client).then(
        (name) => answers.set(name, (answers.get(name) ?? 0) + 1),
        (error) => (error instanceof AnswerCutError ? cut : failures).push(error),
      );
      await sleep(3);
    }
  });

  const running = await Promise.all([servers.start(), servers.start()]);
  for (const signal of ["SIGKILL", "SIGTERM", "SIGKILL"] as const) {
    await until(() => running.every(({ name }) => (answers.get(name) ?? 0) > 10));
    const [oldest] = running.splice(0, 1);
    oldest?.child.kill(signal);
    // With two of them at the most, one is left to take the calls.
    await oldest?.child.ended;
    running.push(await servers.start());
  }
  await until(() => running.every(({ name }) => (answers.get(name) ?? 0) > 10));
  // For a moment there is none at all: calls wait.
  for (const { child } of running) child.kill();
  const last = await servers.start();
  await until(() => (answers.get(last.name) ?? 0) > 10);
  under = false;
  await Promise.all(callers);

  expect(failures).toEqual([]);
  // Each of the five that died was in the midst of one answer to each caller, at most.
  expect(cut.length).toBeLessThanOrEqual(5 * callers.length);
  expect([...answers.values()].reduce((sum, count) => sum + count)).toBeGreaterThan(80);
});

test.each(["round_robin", "pick_first"])(
  "%s: servers that drain get no call, without a retry policy, and the last list stays in an outage of etcd",
  async (policy) => {
    const prefix = lab.newPrefix();
    const servers = fleet(prefix);
    resolver();
    const client = channelTo(prefix, policy);
    const [a, b] = [await servers.start(), await servers.start()];
    await until(async () => (await answersOf(client)).length === (policy === "round_robin" ? 2 : 1));

    a.child.kill("SIGTERM");
    let ended = false;
    void a.child.ended.then(() => {
      ended = true;
    });
    while (!ended) await say(client, { waitForReady: false });
    expect(await answersOf(client)).toEqual([b.name]);

    await lab.cluster.member(0).pause();
    try {
      expect(await say(client, { waitForReady: false })).toBe(b.name);
    } finally {
      await lab.cluster.member(0).resume();
    }
  },
);

test.each(["round_robin", "pick_first"])(
  "%s: a channel that was idle calls its last servers in an outage of etcd, and those of the list after it",
  async (policy) => {
    const prefix = lab.newPrefix();
    const [a, registered] = [await serve(prefix, "a"), resolver()];
    const client = channelTo(prefix, policy, [], idlesSoon);
    expect(await say(client)).toBe("a");
    await untilIdle(client);
    expect(registered.prefixes).toEqual([]);

    await lab.cluster.member(0).pause();
    try {
      expect(await say(client, { waitForReady: false, timeoutMs: 5_000 })).toBe("a");
    } finally {
      await lab.cluster.member(0).resume();
    }
    const b = await serve(prefix, "b");
    await b.registration.ready;
    await a.registration.close();
    await until(async () => String(await answersOf(client)) === "b");
  },
);

test("a channel that was idle gets the list that etcd has now, and not first the one that it had", async () => {
  const prefix = lab.newPrefix();
  resolver();
  const old = lab.register(`${prefix}old`, "127.0.0.1:1", 5);
  const { heard, resolver: made } = listenerOn(prefix);
  made.updateResolution();
  await until(() => heard.length > 0 && String(heard.at(-1)) === "1");
  made.destroy();
  await lab.register(`${prefix}new`, "127.0.0.1:2", 5).ready;
  await old.close();

  const before = heard.length;
  // However slow this machine is: what waits for a time within this call waits for ever.
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    made.updateResolution();
  } finally {
    vi.useRealTimers();
  }
  await until(() => heard.length > before);
  expect(heard[before]).toEqual([2]);
});

test.each(["round_robin", "pick_first"])(
  "%s: after close() a channel that was idle has its list still, and a new one fails with UNAVAILABLE",
  async (policy) => {
    const prefix = lab.newPrefix();
    const registered = resolver();
    await serve(prefix, "a");
    const client = channelTo(prefix, policy, [], idlesSoon);
    expect(await say(client)).toBe("a");
    await untilIdle(client);
    await registered.close();
    expect(await say(client, { waitForReady: false })).toBe("a");
    await expect(say(channelTo(prefix, policy), { waitForReady: false })).rejects.toMatchObject(closedError);
  },
);

test.each(["round_robin", "pick_first"])(
  "%s: after close() a channel connects again to a server of its list that was away",
  async (policy) => {
    const prefix = lab.newPrefix();
    const [a, registered] = [await serve(prefix, "a"), resolver()];
    const client = channelTo(prefix, policy);
    expect(await say(client)).toBe("a");
    await registered.close();
    a.stop();
    const connected = grpc.connectivityState.READY;
    await until(() => client.getChannel().getConnectivityState(false) !== connected);
    await serve(lab.newPrefix(), "a again", a.port);
    expect(await say(client)).toBe("a again");
  },
);

test("a channel that waits for its first list fails with UNAVAILABLE when the resolver is closed", async () => {
  const prefix = lab.newPrefix();
  const registered = resolver();
  await lab.cluster.member(0).pause();
  try {
    const waiting = say(channelTo(prefix), { waitForReady: false });
    const failed = expect(waiting).rejects.toMatchObject(closedError);
    await until(() => registered.prefixes.length > 0);
    await registered.close();
    await failed;
  } finally {
    await lab.cluster.member(0).resume();
  }
});

test("a channel that joins while a failed list is asked for again hears why, and gets the list", async () => {
  const permissions = [{ readwrite: { prefix: "/other/" } }] as const;
  await using cluster = await startEtcd({ auth: { users: { reader: { password: "secret", permissions } } } });
  await using etcd = await ForwardingEtcd.start(cluster.endpoints[0] as string);
  await using client = new EtcdClient({
    endpoints: [etcd.endpoint],
    auth: { username: "reader", password: "secret" },
  });
  await using _ = registerEtcdResolver(grpc, { client });
  const first = listenerOn("/svc/");
  first.resolver.updateResolution();
  await until(() => first.heard.length > 0);
  const ranges = () => etcd.countOf("Range") + etcd.countOf("RangeStream");
  const before = ranges();
  await cluster.member(0).pause();
  const second = listenerOn("/svc/");
  try {
    // It is asked for again after 5 s, and there is no answer.
    await until(() => ranges() > before, { timeoutMs: 20_000 });
    second.resolver.updateResolution();
    await until(() => second.heard.length > 0);
  } finally {
    await cluster.member(0).resume();
  }
  const reason = expect.stringMatching(/^\/svc\/: .*permission denied/i);
  expect([first.heard[0], second.heard[0]]).toEqual([reason, reason]);
  await cluster.auth?.grantPermission("reader", { read: { prefix: "/svc/" } });
  await until(() => typeof second.heard.at(-2) === "object", { timeoutMs: 20_000 });
  const last = [[], 'the list under "/svc/" has 0 servers'];
  expect([first.heard.slice(-2), second.heard.slice(-2)]).toEqual([last, last]);
});

test("a channel is not called within updateResolution(), not even for a prefix that cannot be", async () => {
  resolver();
  const { heard, resolver: made } = listenerOn("/svc/\ud800");
  made.updateResolution();
  expect(heard).toEqual([]);
  await until(() => heard.length > 0);
  expect(heard[0]).toContain("prefix must be well-formed");
});

test("an address that gRPC cannot call is warned of once for all channels, as long as it is listed", async () => {
  const prefix = lab.newPrefix();
  resolver();
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  const warnings = () => warn.mock.calls.map(([message]) => String(message));
  try {
    // Others write what a ServiceRegister refuses.
    const putBad = () => lab.etcd.put(`${prefix}bad`, JSON.stringify({ Addr: "http://10.0.0.5:80" }));
    await putBad();
    const channels = [listenerOn(prefix), listenerOn(prefix)];
    for (const { resolver: made } of channels) made.updateResolution();
    const given = (...ports: number[]) =>
      until(() => channels.every(({ heard }) => String(heard.at(-1)) === `${ports}`));
    await until(() => channels.every(({ heard }) => heard.length > 0));
    const good = lab.register(`${prefix}good`, "127.0.0.1:1", 5);
    await given(1);
    await lab.register(`${prefix}other`, "127.0.0.1:2", 5).ready;
    await given(1, 2);
    await good.close();
    await given(2);
    // The last channel becomes idle, and wakes up.
    for (const { resolver: made } of channels) made.destroy();
    const again = listenerOn(prefix);
    again.resolver.updateResolution();
    await until(() => String(again.heard.at(-1)) === "2");
    const warning = `${prefix}bad: "http://10.0.0.5:80" is no address for gRPC: host:port, or unix:/path`;
    expect(warnings()).toEqual([warning]);

    await lab.etcd.delete(`${prefix}bad`);
    await lab.register(`${prefix}third`, "127.0.0.1:3", 5).ready;
    await until(() => String(again.heard.at(-1)) === "2,3");
    await putBad();
    await until(() => warnings().length === 2);
    expect(warnings()).toEqual([warning, warning]);
  } finally {
    warn.mockRestore();
  }
});

test("channels of one prefix share one subscription, which ends with the last of them and comes back", async () => {
  const prefix = lab.newPrefix();
  const [server, registered] = [await fleet(prefix).start(), resolver()];
  const [first, second] = [channelTo(prefix), channelTo(prefix)];
  expect([await say(first), await say(second)]).toEqual([server.name, server.name]);
  expect(registered.prefixes).toEqual([prefix]);
  first.close();
  expect(await say(second)).toBe(server.name);
  expect(registered.prefixes).toEqual([prefix]);
  second.close();
  expect(registered.prefixes).toEqual([]);
  expect(await say(channelTo(prefix))).toBe(server.name);
});

test.each(["round_robin", "pick_first"])(
  "%s: each call fails while the list is empty, but one that waits for ready, which the first server gets",
  async (policy) => {
    const prefix = lab.newPrefix();
    resolver();
    const client = channelTo(prefix, policy);
    const fails = async () => {
      // By itself grpc-js fails the first of them only, or none.
      const unavailable = expect.objectContaining({ code: grpc.status.UNAVAILABLE });
      for (const _ of [1, 2, 3]) await expect(say(client, { waitForReady: false })).rejects.toEqual(unavailable);
    };
    const waiting = say(client);
    await fails();
    const a = await serve(prefix, "a");
    expect(await waiting).toBe("a");
    expect(await say(client, { waitForReady: false })).toBe("a");
    await a.registration.close();
    // With the connection that it has pick_first would go on.
    a.stop();
    await until(() => client.getChannel().getConnectivityState(false) !== grpc.connectivityState.READY);
    await fails();
    await serve(prefix, "b");
    expect(await say(client)).toBe("b");
  },
);

test("round_robin: calls fail on an empty list also after a connection that was being made is given up", async () => {
  const prefix = lab.newPrefix();
  let asked = 0;
  const counting = (scheme: string, Resolver: new (...args: never[]) => { updateResolution(): void }) => {
    class Counting extends Resolver {
      override updateResolution(): void {
        asked++;
        super.updateResolution();
      }
    }
    grpc.experimental.registerResolver(scheme, Counting as never);
  };
  const experimental = { ...grpc.experimental, registerResolver: counting as never };
  const registered = registerEtcdResolver({ ...grpc, experimental }, { client: lab.client() });
  lab.also(() => registered.close());
  const [a, silent] = [await serve(lab.newPrefix(), "a"), await startDeafServer()];
  lab.also(async () => silent[Symbol.asyncDispose]());
  const [client, services] = [channelTo(prefix), lab.subscribe(prefix)];
  const put = (name: string, address: string) => lab.etcd.put(`${prefix}${name}`, address);
  const comesAndGoes = async () => {
    await put("a", `127.0.0.1:${a.port}`);
    expect(await say(client)).toBe("a");
    await put("b", silent.endpoint.slice("http://".length));
    await services.until((list) => list.length === 2);
    const before = asked;
    await lab.etcd.delete(keysBelow(prefix));
    // grpc-js asks again 250 ms after it began to connect; not at all if the list became empty later than that.
    return until(() => asked > before, { timeoutMs: 1_000 });
  };
  await until(comesAndGoes, { timeoutMs: 30_000 });
  for (const _ of [1, 2, 3]) {
    const failing = say(client, { waitForReady: false, timeoutMs: 5_000 });
    await expect(failing).rejects.toMatchObject({ code: grpc.status.UNAVAILABLE });
  }
});

test("a list of servers that are all draining is as an empty one, and says what it has", async () => {
  const prefix = lab.newPrefix();
  resolver();
  const { heard, resolver: made } = listenerOn(prefix);
  await lab.register(`${prefix}a`, "127.0.0.1:1", 60, { weight: 2 }).update({ draining: true });
  made.updateResolution();
  await until(() => heard.length > 1);
  expect(heard).toEqual([[], `the list under "${prefix}" has 1 servers, and none of them may be called`]);
});

test("weight, zone and metadata are in the attributes of endpoints, and lists that change keep connections", async () => {
  const prefix = lab.newPrefix();
  resolver();
  const a = lab.register(`${prefix}a`, "127.0.0.1:1", 5, { weight: 3, metadata: { zone: "eu-1", version: "2" } });
  lab.register(`${prefix}b`, "[::1]:2", 5);
  lab.register(`${prefix}c`, "unix:///tmp/c.sock", 5);
  const lists: unknown[] = [];
  const target = grpc.experimental;
  const listener = (endpoints: { ok: boolean; value?: unknown }) => lists.push(endpoints.value) > 0;
  const uri = { scheme: "etcd", authority: "", path: prefix };
  const made = target.createResolver(uri, listener as never, {});
  made.updateResolution();
  await until(() => (lists.at(-1) as unknown[] | undefined)?.length === 3);
  expect(lists.at(-1)).toEqual([
    {
      addresses: [{ host: "127.0.0.1", port: 1 }],
      attributes: { key: `${prefix}a`, weight: 3, zone: "eu-1", metadata: { zone: "eu-1", version: "2" } },
    },
    { addresses: [{ host: "::1", port: 2 }], attributes: { key: `${prefix}b`, weight: 1, metadata: undefined } },
    { addresses: [{ path: "/tmp/c.sock" }], attributes: { key: `${prefix}c`, weight: 1, metadata: undefined } },
  ]);
  await a.update({ draining: true });
  await until(() => (lists.at(-1) as unknown[]).length === 2);
  made.destroy();
});

test("the listeners of 1.10 to 1.13 get the same list, and an error after the resolver was closed", async () => {
  const prefix = lab.newPrefix();
  const registered = resolver();
  await lab.register(`${prefix}a`, "127.0.0.1:1", 5).ready;
  const heard: unknown[] = [];
  const listener = {
    onSuccessfulResolution: (endpoints: { addresses: unknown }[]) => heard.push(endpoints[0]?.addresses),
    onError: (error: grpc.StatusObject) => heard.push([error.code, error.details]),
  };
  const made = grpc.experimental.createResolver({ path: prefix, scheme: "etcd" }, listener as never, {});
  made.updateResolution();
  await until(() => heard.at(-1) !== undefined);
  expect(heard.at(-1)).toEqual([{ host: "127.0.0.1", port: 1 }]);
  await registered.close();
  const late = grpc.experimental.createResolver({ path: prefix, scheme: "etcd" }, listener as never, {});
  late.updateResolution();
  await until(() => Array.isArray(heard.at(-1)) && (heard.at(-1) as unknown[]).includes(grpc.status.UNAVAILABLE));
  expect(heard.at(-1)).toEqual([grpc.status.UNAVAILABLE, "the resolver of etcd: is closed"]);
  // One that had the list, and was idle.
  made.destroy();
  made.updateResolution();
  await until(() => !(heard.at(-1) as unknown[]).includes(grpc.status.UNAVAILABLE));
  expect(heard.at(-1)).toEqual([{ host: "127.0.0.1", port: 1 }]);
});

test.each([
  ["nothing", undefined],
  ["another module", { experimental: {} }],
  ["grpc-js 1.9", { experimental: { registerResolver() {} }, Metadata: grpc.Metadata }],
])("%s in the place of grpc-js is refused, and the error says what to install", (_, module) => {
  expect(() => registerEtcdResolver(module as never)).toThrow(
    /registerEtcdResolver: grpc must be the module @grpc\/grpc-js 1\.10 to 1\.14 \(npm install @grpc\/grpc-js/,
  );
});

test.each([
  [{ scheme: "a b" }, "scheme"],
  [{ scheme: Object.create(null) }, "scheme"],
  [{ scheme: "dns" }, "scheme"],
  [{ scheme: "unix" }, "scheme"],
  [{ scheme: "ipv4" }, "scheme"],
  [{ scheme: "ipv6" }, "scheme"],
  [{ scheme: "xds" }, "scheme"],
  [{ cleint: undefined }, "cleint"],
  [{ client: null }, "client"],
  [{ client: 5 }, "client"],
  [{ client: [] }, "client"],
  [null, "options"],
  [5, "options"],
  [[], "options"],
])("a bad option is refused by name: %o", (options, option) => {
  expect(() => registerEtcdResolver(grpc, options as never)).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }),
  );
});

test.each(["etcd:///", "etcd:////", "etcd:/", "etcd://"])(
  "a channel to %s, which names no prefix, is refused",
  (target) => {
    resolver();
    expect(() => new grpc.Client(target, grpc.credentials.createInsecure())).toThrow(
      expect.objectContaining({ code: "ETCD_INVALID_OPTION", option: "target" }),
    );
  },
);

test("options of the resolver and of its client may be instances of classes", async () => {
  class Client {
    readonly endpoints = lab.endpoint;
  }
  class Config {
    readonly scheme = "etcd-classes";
    readonly client = new Client();
  }
  await using registered = registerEtcdResolver(grpc, new Config());
  expect(registered.scheme).toBe("etcd-classes");
});

test("a second resolver of a scheme is warned of while the first one is open", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  try {
    const scheme = "etcd-twice";
    const first = resolver({ scheme });
    resolver({ scheme: "etcd-other" });
    expect(warn).not.toHaveBeenCalled();
    const second = resolver({ scheme });
    expect(warn.mock.calls.map(([message]) => message)).toEqual([
      "registerEtcdResolver: the scheme etcd-twice: has a resolver already; new channels use this one in its place",
    ]);
    for (const closing of [first, first, second]) await closing.close();
    resolver({ scheme });
    expect(warn).toHaveBeenCalledTimes(1);
  } finally {
    warn.mockRestore();
  }
});
