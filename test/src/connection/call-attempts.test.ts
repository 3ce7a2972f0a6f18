import { expect, test } from "vitest";
import { CallAttempts, type CallRoutes } from "../../../src/connection/call-attempts.ts";
import { CallScope } from "../../../src/connection/call-scope.ts";
import type { RpcOptions } from "../../../src/connection/rpc-options.ts";
import { grpcFailure } from "../../../src/grpc/grpc-failure.ts";
import { grpcStatus } from "../../../src/grpc/index.ts";
import { UnavailableError } from "../../../src/index.ts";
import { type Deferred, deferred, sleep, within } from "../../../src/internal/index.ts";
import { FakeClock, settled } from "../../support/fake-clock.ts";
import { etcdErrorOf } from "../../support/outcome.ts";
import { seeded } from "../../support/seeded.ts";

// The time of one call, in virtual time, on connections that do what a test says.

const TIMEOUT_MS = 1_000;

interface Sent {
  readonly url: string;
  readonly answer: Deferred<string>;
}

/** One call to some endpoints. */
class Lab {
  readonly clock = new FakeClock();
  /** The attempts that left. */
  readonly sent: Sent[] = [];
  /** How long a connection takes to come up that is waited for so long. */
  dialMs: (waitMs: number) => number = () => 0;
  /** What a connection is asked before something is sent on it. */
  proof: Promise<void> | undefined;
  /** What endpoints are said to be at fault for. */
  readonly blamed: string[] = [];
  readonly #endpoints: CallRoutes["endpoints"];

  constructor(urls: readonly string[]) {
    const all = urls.map((url) => ({
      url,
      open: () => undefined,
      connect: async (_: unknown, waitMs: number) => {
        const noneYet = () => new UnavailableError("no connection yet", { retryable: true });
        await within(this.clock, sleep(this.clock, this.dialMs(waitMs)), waitMs, noneYet);
        return { url };
      },
      memberFailed: () => void this.blamed.push(`the member behind ${url}`),
      drop() {},
    }));
    const failed = ({ url }: { url: string }, { message }: Error) => void this.blamed.push(`${url}: ${message}`);
    const endpoints = { all, inOrder: () => all, current: () => all[0], failed, worked() {} };
    this.#endpoints = endpoints as unknown as CallRoutes["endpoints"];
  }

  call(options: Partial<RpcOptions>): Promise<string> {
    const runtime = { clock: this.clock, random: seeded("call attempts").next };
    const questions = { fits: () => undefined, stillThere: () => this.proof } as unknown as CallRoutes["questions"];
    const routes: CallRoutes = { endpoints: this.#endpoints, runtime, authenticator: undefined, questions };
    const rpc: RpcOptions = { kind: "read", timeoutMs: TIMEOUT_MS, signal: undefined, ...options };
    return new CallAttempts<string>(routes, new CallScope(undefined, new Set()), {
      name: "Maintenance.hash",
      rpc,
      requestBytes: 1,
      send: ({ channel }) => {
        const answer = deferred<string>();
        this.sent.push({ url: (channel as unknown as { url: string }).url, answer });
        return answer.promise;
      },
    }).run();
  }

  /** An attempt, once it has left; undefined where none leaves any more. */
  async attempt(number: number): Promise<Sent | undefined> {
    for (let ms = 0; ms < TIMEOUT_MS && this.sent.length < number; ms += 10) await this.clock.pass(10);
    return this.sent[number - 1];
  }

  /** The connection of an attempt breaks under it. */
  async breaks(attempt: Sent | undefined, why = "it does not answer"): Promise<void> {
    attempt?.answer.reject(grpcFailure(grpcStatus.UNAVAILABLE, why));
    await settled();
  }
}

test("a call without a limit that breaks after more than the client's time goes on at the next endpoint", async () => {
  const lab = new Lab(["http://a", "http://b"]);
  const call = lab.call({ slow: "unbounded" });
  const first = await lab.attempt(1);
  await lab.clock.pass(60 * TIMEOUT_MS);
  await lab.breaks(first);
  const second = await lab.attempt(2);
  expect(lab.sent.map(({ url }) => url)).toEqual(["http://a", "http://b"]);
  await lab.clock.pass(60 * TIMEOUT_MS);
  second?.answer.resolve("hash");
  expect(await call).toBe("hash");
});

test("a call without a limit that no endpoint serves ends, and names no time that it did not have", async () => {
  const lab = new Lab(["http://a", "http://b"]);
  const failing = etcdErrorOf(lab.call({ slow: "unbounded" }));
  let isOver = false;
  void failing.then(() => {
    isOver = true;
  });
  for (let number = 1; !isOver; number++) {
    const attempt = await lab.attempt(number);
    if (!attempt) break;
    await lab.clock.pass(3 * TIMEOUT_MS);
    await lab.breaks(attempt);
  }
  await lab.clock.pass(TIMEOUT_MS);
  expect(lab.sent.length).toBeGreaterThan(2);
  const error = await failing;
  expect(error).toMatchObject({ code: "ETCD_UNAVAILABLE", retryable: true });
  expect(error.message).toBe("Maintenance.hash: no endpoint could serve it; last: it does not answer");
});

test("a call whose connections come up late, and are not proved then, ends within its time", async () => {
  const lab = new Lab(["http://a", "http://b"]);
  lab.dialMs = () => 0.3 * TIMEOUT_MS;
  lab.proof = new Promise(() => {});
  const failing = etcdErrorOf(lab.call({ kind: "write" }));
  let isOver = false;
  void failing.then(() => {
    isOver = true;
  });
  await lab.clock.pass(TIMEOUT_MS);
  expect(isOver).toBe(true);
  expect(await failing).toMatchObject({ code: "ETCD_UNAVAILABLE", outcomeUnknown: false });
  expect(lab.sent).toEqual([]);
});

test("a connection that does not come up in hardly any time does not hide why the attempts before failed", async () => {
  const lab = new Lab(["http://a"]);
  const waited: number[] = [];
  lab.dialMs = (waitMs) => {
    waited.push(waitMs);
    return waitMs < TIMEOUT_MS / 10 ? TIMEOUT_MS : 0;
  };
  const failing = etcdErrorOf(lab.call({}));
  for (let number = 1; Math.min(...waited) >= TIMEOUT_MS / 10; number++) {
    await lab.breaks(await lab.attempt(number), "etcdserver: no leader");
  }
  await lab.clock.pass(TIMEOUT_MS);
  expect((await failing).message).toMatch(/last: etcdserver: no leader$/);
});

test("an attempt with hardly any time is no reason why endpoints are not reached, nor is one that could not leave", async () => {
  const lab = new Lab(["http://a", "http://b"]);
  const failing = etcdErrorOf(lab.call({}));
  let isOver = false;
  void failing.then(() => {
    isOver = true;
  });
  // Refused until hardly any time is left; then there is no answer any more.
  for (let number = 1; lab.clock.monotonicMs() < 0.95 * TIMEOUT_MS && !isOver; number++) {
    const attempt = await lab.attempt(number);
    if (lab.clock.monotonicMs() < 0.95 * TIMEOUT_MS) await lab.breaks(attempt, "etcdserver: no leader");
    else attempt?.answer.reject(grpcFailure(grpcStatus.DEADLINE_EXCEEDED, "Deadline exceeded"));
  }
  await lab.clock.pass(TIMEOUT_MS);
  for (const { answer } of lab.sent) answer.reject(grpcFailure(grpcStatus.DEADLINE_EXCEEDED, "Deadline exceeded"));
  // The pause before it gives up.
  await lab.clock.pass(TIMEOUT_MS);
  expect((await failing).message).toMatch(/last: etcdserver: no leader$/);
  expect(lab.blamed.filter((text) => /no answer|could not be sent/.test(text))).toEqual([]);
});

test("a proof that the time of the call cuts short blames no endpoint", async () => {
  const lab = new Lab(["http://a", "http://b"]);
  lab.dialMs = () => 0.2 * TIMEOUT_MS;
  lab.proof = new Promise(() => {});
  const failing = etcdErrorOf(lab.call({ kind: "write" }));
  await lab.clock.pass(TIMEOUT_MS);
  expect((await failing).message).toBe(
    "Maintenance.hash: no endpoint could serve it within 1000 ms; last: http://a: it does not answer",
  );
  expect(lab.blamed).toEqual(["http://a: http://a: it does not answer", "the member behind http://a"]);
});
