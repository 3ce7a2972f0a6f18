import { expect, test } from "vitest";
import { createBalancer } from "../../recipes/balancer/internal.ts";
import { EtcdError, InvalidOptionError } from "../../recipes/index.ts";
import { EtcdNotFoundError, EtcdStartError, FaultProxy, fakeEtcd, startEtcd } from "../../testing/index.ts";
import { seeded } from "../support/seeded.ts";
import { type FuzzedCall, fuzz, isOwnReason, isReadable, isRevokedProxy } from "./hostile-options.ts";

function isTyped(error: unknown): boolean {
  return (
    [TypeError, RangeError, EtcdNotFoundError, EtcdStartError].some((type) => error instanceof type) ||
    isOwnReason(error)
  );
}

async function closed(made: unknown): Promise<void> {
  await (made as { close?: () => Promise<void> } | undefined)?.close?.();
}

test("wrong options of startEtcd and of a cluster", { timeout: 300_000 }, async () => {
  const random = seeded("startEtcd");
  const fuzzed: FuzzedCall = {
    what: "startEtcd",
    args: [{}],
    names: ["members", "binary", "flags", "env", "startTimeoutMs"],
    call: (options) => startEtcd(options as never),
  };
  // Each that succeeds starts an etcd: some of them, other ones in each run.
  expect(await fuzz(fuzzed, isTyped, closed, () => random.chance(0.15)), `TEST_SEED=${random.seed}`).toEqual([]);
});

test("wrong options of fakeEtcd and arguments of what it makes", async () => {
  await using etcd = await fakeEtcd({ time: "manual" });
  const calls: FuzzedCall[] = [
    {
      what: "fakeEtcd",
      args: [{}],
      names: ["time", "startMs", "seed", "latencyMs", "maxTxnOps", "maxRequestBytes"],
      call: (options) => fakeEtcd(options as never),
    },
    { what: "client", args: [{}], call: (options) => etcd.client(options as never) },
    { what: "advance", args: [1], call: (ms) => etcd.advance(ms as never) },
    { what: "latencyMs", args: [0], call: (ms) => Object.assign(etcd, { latencyMs: ms }) },
    { what: "dump", args: ["k"], call: (range) => etcd.dump(range as never) },
    { what: "expireLease", args: ["abc"], call: (lease) => etcd.expireLease(lease as never) },
    { what: "compact", args: [1], call: (revision) => etcd.compact(revision as never) },
  ];
  const isOurs = (error: unknown) => isTyped(error) || error instanceof EtcdError;
  for (const fuzzed of calls) expect(await fuzz(fuzzed, isOurs, closed)).toEqual([]);
});

test("wrong arguments of a FaultProxy", async () => {
  await using proxy = await FaultProxy.start("http://127.0.0.1:1");
  const calls: FuzzedCall[] = [
    { what: "start", args: ["http://127.0.0.1:1"], call: (target) => FaultProxy.start(target as never) },
    {
      what: "start by host and port",
      args: [{ host: "127.0.0.1", port: 1 }],
      names: ["host", "port"],
      call: (target) => FaultProxy.start(target as never),
    },
    { what: "delay", args: [1], call: (ms) => proxy.delay(ms as never) },
    { what: "blackHole", args: ["toServer"], call: (direction) => proxy.blackHole(direction as never) },
    { what: "halfClose", args: ["toServer"], call: (direction) => proxy.halfClose(direction as never) },
  ];
  for (const fuzzed of calls) expect(await fuzz(fuzzed, isTyped, closed)).toEqual([]);
});

test("wrong strategies", async () => {
  const fuzzed: FuzzedCall = {
    what: "createBalancer",
    args: ["p2c", {}],
    names: ["zone", "slowStartMs", "random", "nowMs"],
    call: (option, settings) => createBalancer("test", option as never, settings as never),
  };
  const isRefused = (error: unknown) =>
    (error instanceof InvalidOptionError && isReadable(error)) || isOwnReason(error) || isRevokedProxy(error);
  expect(await fuzz(fuzzed, isRefused, closed)).toEqual([]);
});
