import { beforeEach, expect, test } from "vitest";
import { EndpointsInUse } from "../../../src/connection/endpoints/endpoints-in-use.ts";
import type { SrvResolver } from "../../../src/connection/endpoints/srv-lookup.ts";
import { FakeClock } from "../../support/fake-clock.ts";

// What a client makes of what DNS says, without any connection.

type Said = readonly { name: string; port: number }[] | Error;

const absent = (code = "ENOTFOUND") => Object.assign(new Error(`querySrv ${code}`), { code });
const member = (name: string) => ({ name, port: 2379 });

let clock: FakeClock;
let asked: string[];
let said: { secured: Said; plain: Said };
let cancelled: number;

const resolver: SrvResolver = {
  async resolveSrv(name) {
    const kind = name.startsWith("_etcd-client-ssl") ? "secured" : "plain";
    asked.push(kind);
    const answer = said[kind];
    if (answer instanceof Error) throw answer;
    return answer;
  },
  cancel: () => void cancelled++,
};

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  cancelled = 0;
  said = { secured: absent(), plain: absent() };
});

function made(options: { tls?: object } = {}): EndpointsInUse {
  return new EndpointsInUse({
    endpoints: { url: "etcd+srv://a.test", domain: "a.test" },
    dialTimeoutMs: 1_000,
    runtime: { clock, random: () => 0.5 },
    warnUnreachable: false,
    resolver: () => resolver,
    ...options,
  });
}

const settled = () => new Promise(setImmediate);
const urlsOf = (endpoints: EndpointsInUse) => endpoints.all.map(({ url }) => url);

/** Looks for the first time, or again when it is time to. */
async function look(endpoints: EndpointsInUse): Promise<string[]> {
  endpoints.inOrder("calls");
  await settled();
  return urlsOf(endpoints);
}

test.each(["ENOTFOUND", "ENODATA"])(
  "%s says that there are no members with TLS: those without are taken",
  async (code) => {
    said = { secured: absent(code), plain: [member("x.a.test")] };
    const endpoints = made();
    expect(await look(endpoints)).toEqual(["http://x.a.test:2379"]);
    expect(endpoints.secure).toBe(false);
  },
);

test.each(["ETIMEOUT", "ESERVFAIL", "EREFUSED", "ECONNREFUSED", "ECANCELLED", "EFORMERR", "EBADRESP"])(
  "%s leaves open whether there are members with TLS: those without are not asked for",
  async (code) => {
    said = { secured: absent(code), plain: [member("x.a.test")] };
    expect(await look(made())).toEqual(["etcd+srv://a.test"]);
    expect(asked).toEqual(["secured"]);
  },
);

test("where TLS is asked for members without it are not", async () => {
  said = { secured: absent(), plain: [member("x.a.test")] };
  const endpoints = made({ tls: { serverName: "a.test" } });
  expect(await look(endpoints)).toEqual(["etcd+srv://a.test"]);
  expect(asked).toEqual(["secured"]);
  await expect(endpoints.inOrder("calls")[0]?.connect("calls", 100)).rejects.toThrow(
    "etcd+srv://a.test: DNS has no SRV record of _etcd-client-ssl._tcp.a.test, and without TLS no member is connected to",
  );
  expect(() =>
    endpoints.replace([{ url: "http://b", secure: false, target: { host: "b", port: 1 } }], "given"),
  ).toThrow("must be https");
});

test("members may become secured by TLS, and are never plain again", async () => {
  said = { secured: absent(), plain: [member("x.a.test")] };
  const endpoints = made();
  await look(endpoints);
  said = { secured: [member("y.a.test"), member("x.a.test")], plain: [member("x.a.test")] };
  clock.advance(91_000);
  expect(await look(endpoints)).toEqual(["https://y.a.test:2379", "https://x.a.test:2379"]);
  said = { secured: absent(), plain: [member("x.a.test")] };
  clock.advance(91_000);
  expect(await look(endpoints)).toEqual(["https://y.a.test:2379", "https://x.a.test:2379"]);
  expect(endpoints.secure).toBe(true);
});

test("a record that cannot be read hides no other, and a lone one does not make the client plain", async () => {
  said = { secured: [member("x/../y"), member("u@evil"), member("z.a.test"), member("z.a.test")], plain: absent() };
  expect(await look(made())).toEqual(["https://z.a.test:2379"]);
  said = { secured: [member("x/../y")], plain: [member("p.a.test")] };
  expect(await look(made())).toEqual(["etcd+srv://a.test"]);
  // RFC 2782: the service is decidedly not there.
  said = { secured: [member(".")], plain: [member("p.a.test.")] };
  expect(await look(made())).toEqual(["http://p.a.test:2379"]);
});

test("DNS is asked once a minute at most while members work, after five seconds when one fails, and not when idle", async () => {
  said = { secured: [member("x.a.test"), member("y.a.test")], plain: absent() };
  const endpoints = made();
  await look(endpoints);
  clock.advance(59_000);
  await look(endpoints);
  expect(asked).toHaveLength(1);
  expect(clock.pendingTimers).toBe(0);
  clock.advance(1_000);
  await look(endpoints);
  expect(asked).toHaveLength(2);
  clock.advance(4_999);
  endpoints.all[0]?.failed();
  await look(endpoints);
  expect(asked).toHaveLength(2);
  clock.advance(1);
  await look(endpoints);
  expect(asked).toHaveLength(3);
});

test("after the members were listed DNS is asked only when none of them can be reached", async () => {
  said = { secured: [member("x.a.test"), member("y.a.test")], plain: absent() };
  const endpoints = made();
  await look(endpoints);
  const listed = ["b", "c"].map((host) => ({ url: `https://${host}`, secure: true, target: { host, port: 1 } }));
  endpoints.replace(listed, "members");
  clock.advance(600_000);
  endpoints.all[0]?.failed();
  expect(await look(endpoints)).toEqual(["https://b", "https://c"]);
  expect(asked).toHaveLength(1);
  endpoints.all[1]?.failed();
  expect(await look(endpoints)).toEqual(["https://x.a.test:2379", "https://y.a.test:2379"]);
});

test("a closed client asks nothing any more, and takes no late answer", async () => {
  said = { secured: [member("x.a.test")], plain: absent() };
  const endpoints = made();
  endpoints.inOrder("calls");
  endpoints.close();
  await settled();
  expect(cancelled).toBe(1);
  expect(urlsOf(endpoints)).toEqual(["etcd+srv://a.test"]);
});
