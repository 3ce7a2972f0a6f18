import { expect, test } from "vitest";
import { reachableAddress } from "../../../recipes/index.ts";

const listening = { address: "127.0.0.1", family: "IPv4", port: 8081 };
const everywhere = { address: "::", family: "IPv6", port: 8081 };

test.each([
  ["where it listens", listening, undefined, "127.0.0.1:8081"],
  ["where it listens, IPv6", { address: "fd00::1", family: "IPv6", port: 80 }, undefined, "[fd00::1]:80"],
  ["a socket", "/run/app.sock", undefined, "unix:/run/app.sock"],
  ["a host gets the port", everywhere, "10.0.0.5", "10.0.0.5:8081"],
  ["a name gets the port", everywhere, "orders.internal", "orders.internal:8081"],
  ["an IPv6 host gets the port", everywhere, "fd00::5", "[fd00::5]:8081"],
  ["an IPv6 host whose last group is decimal gets the port", everywhere, "fd00::1:5", "[fd00::1:5]:8081"],
  ["a whole IPv6 host gets the port", everywhere, "2001:db8:0:1:2:3:4:1234", "[2001:db8:0:1:2:3:4:1234]:8081"],
  ["an IPv6 host in brackets gets the port", everywhere, "[fd00::5]", "[fd00::5]:8081"],
  ["host and port stay", everywhere, "10.0.0.5:443", "10.0.0.5:443"],
  ["IPv6 host and port stay", everywhere, "[fd00::5]:443", "[fd00::5]:443"],
  ["a URL stays", everywhere, "http://10.0.0.5:443", "http://10.0.0.5:443"],
  ["host and port stay beside a socket", "/run/app.sock", "10.0.0.5:443", "10.0.0.5:443"],
  ["host and port stay before it listens", null, "10.0.0.5:443", "10.0.0.5:443"],
  ["a socket's path stays", everywhere, "unix:/run/other.sock", "unix:/run/other.sock"],
  ["the last port there is stays", everywhere, "10.0.0.5:65535", "10.0.0.5:65535"],
  ["a socket's path with a colon stays", everywhere, "unix:/run/app:99999", "unix:/run/app:99999"],
  ["a URL is made", everywhere, ({ port }: { port: number }) => `grpc://pod:${port}/v1`, "grpc://pod:8081/v1"],
  ["an address without a port is made", everywhere, () => "dns-name-of-a-service", "dns-name-of-a-service"],
  ["an IPv6 address is made", everywhere, () => "fd00::", "fd00::"],
  ["made of where it listens", everywhere, ({ port }: { port: number }) => `pod-1:${port}`, "pod-1:8081"],
] as const)("%s", (_, address, given, expected) => {
  expect(reachableAddress(address, given)).toBe(expected);
});

test.each<[readonly unknown[], RegExp]>([
  [[null], /reachableAddress: address must have a port: the app does not listen on one/],
  [[everywhere], /address must say by which address others reach the app: it listens on all interfaces \(::, port 80/],
  [
    [{ ...everywhere, address: "0.0.0.0" }],
    /it listens on all interfaces \(0\.0\.0\.0, port 8081\); "10\.0\.0\.5" gets/,
  ],
  [[null, "10.0.0.5"], /must have a port/],
  [["/run/app.sock", "10.0.0.5"], /address must be host:port or unix:\/path: the app listens on a socket \(\/run\/app/],
  [["/run/app.sock", () => "10.0.0.5:80"], /the app listens on a socket \(\/run\/app\.sock\), which has no port/],
  [[listening, ""], /address must not be empty: leave it out for where the server listens/],
  [[everywhere, " "], /address must not be empty/],
  [[listening, 5], /address must be a string or a function, not 5/],
  [[{ port: "8081" }], /address must be made of what address\(\) of a server returns, not of/],
  [[everywhere, () => 5], /address must be a function that returns a string, not 5/],
  [[everywhere, async () => "10.0.0.5:80"], /address must be a function that returns a string, not a Promise/],
  [[everywhere, () => " "], /address must be a function that returns an address: it returned none/],
  [[everywhere, "10.0.0.5:99999"], /address must have a port from 1 to 65535, not 99999/],
  [[everywhere, "10.0.0.5:0"], /address must have a port from 1 to 65535, not 0/],
  [[everywhere, "[fd00::5]:65536"], /address must have a port from 1 to 65535, not 65536/],
  [[everywhere, "http://10.0.0.5:99999"], /address must have a port from 1 to 65535, not 99999/],
  [[everywhere, () => "grpc://10.0.0.5:99999/v1"], /address must have a port from 1 to 65535, not 99999/],
  [[everywhere, undefined, "etcdRecipes"], /etcdRecipes: address must say/],
])("refuses %j", (args, message) => {
  expect(() => reachableAddress(...(args as unknown as [null]))).toThrow(message);
});
