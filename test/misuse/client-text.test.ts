import { expect, test } from "vitest";
import { EtcdClient } from "../../src/index.ts";

// What is no string, but has a length: a check of length alone takes it, or asks it, and it throws.

const impostors: Readonly<Record<string, () => unknown>> = {
  "a length that throws": () => ({
    get length(): number {
      throw new TypeError("thrown by a getter");
    },
  }),
  "a length that is no number": () => JSON.parse('{"length":{"toString":{},"valueOf":{}}}'),
  "a length that is a symbol": () => ({ length: Symbol("5") }),
  "the length of a text": () => ({ length: 5 }),
};

const options: Readonly<Record<string, (text: unknown) => object>> = {
  "tls.serverName": (serverName) => ({ endpoints: "https://127.0.0.1:1", tls: { serverName } }),
  "tls.caFile": (caFile) => ({ endpoints: "https://127.0.0.1:1", tls: { caFile } }),
  "tls.ca": (ca) => ({ endpoints: "https://127.0.0.1:1", tls: { ca } }),
  "auth.username": (username) => ({ endpoints: "http://127.0.0.1:1", auth: { username, password: "p" } }),
  "auth.password": (password) => ({ endpoints: "http://127.0.0.1:1", auth: { username: "u", password } }),
};

const cases = Object.entries(options).flatMap(([option, give]) =>
  Object.entries(impostors).map(([what, make]) => [option, what, () => give(make())] as const),
);

test.each(cases)("%s with %s is refused by name", (option, _, make) => {
  expect(() => new EtcdClient(make() as never)).toThrow(
    expect.objectContaining({ code: "ETCD_INVALID_OPTION", option }),
  );
});
