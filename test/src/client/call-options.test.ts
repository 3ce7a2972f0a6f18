import { expect, test } from "vitest";
import { EtcdClient, InvalidOptionError, prefix } from "../../../src/index.ts";

const etcd = new EtcdClient({ endpoints: "http://127.0.0.1:1" });

test.each<[call: () => unknown, message: string]>([
  [
    () => etcd.watch("k", { startRevison: 5 } as object),
    'watch: startRevison is not an option; did you mean "startRevision"?',
  ],
  [() => etcd.watch("k", { signal: {} as AbortSignal }), "watch: signal must be an AbortSignal, not an object"],
  [
    () => etcd.mirror(prefix("k"), { onstatus() {} } as object),
    'mirror: onstatus is not an option; did you mean "onStatus"?',
  ],
  [() => etcd.watch("k", { onStatus: "log" as never }), 'watch: onStatus must be a function, not "log"'],
  [() => etcd.mirror(prefix("k"), { onStatus: null as never }), "mirror: onStatus must be a function, not null"],
  [
    () => etcd.mirror(prefix("k"), { signal: 1 as unknown as AbortSignal }),
    "mirror: signal must be an AbortSignal, not 1",
  ],
])("a mistake in the options of %s is refused before any I/O", (call, message) => {
  expect(call).toThrow(InvalidOptionError);
  expect(call).toThrow(message);
});

test("a misspelt option of grantLease is refused, with the nearest name", async () => {
  await expect(etcd.grantLease(5, { keepalive: false } as object)).rejects.toThrow(
    'grantLease: keepalive is not an option; did you mean "keepAlive"?',
  );
});
