import { beforeEach, expect, test } from "vitest";
import { PeerError } from "../../../src/grpc/http2/peer-error.ts";
import { errorCode } from "../../../src/grpc/http2/protocol.ts";
import { PingAnswers } from "../../../src/grpc/ping-answers.ts";
import { FakeClock } from "../../support/fake-clock.ts";

let clock: FakeClock;
let answered: string[];
let writer: { position: number; pingAck(payload: Buffer, from: number): void };
let answers: PingAnswers;
let refused: unknown[];

beforeEach(() => {
  clock = new FakeClock();
  answered = [];
  writer = {
    position: 0,
    pingAck(payload, from) {
      answered.push(payload.toString("latin1", from, from + 8));
      writer.position += 17;
    },
  };
  refused = [];
  answers = new PingAnswers(clock, writer, (error) => refused.push(error));
});

/** A buffer that is read into anew as soon as this returns, as a socket's is. */
function pinged(payload: string): void {
  const bytes = Buffer.from(`frame of ${payload} and more`);
  answers.answer(bytes, 9);
  bytes.fill("?");
}

test("the PING of a quiet connection is answered after 10 ms, with what it said", () => {
  pinged("11111111");
  clock.advance(9);
  expect(answered).toEqual([]);
  clock.advance(1);
  expect(answered).toEqual(["11111111"]);
  pinged("22222222");
  expect(answered.length).toBe(1);
  clock.advance(10);
  expect(answered).toEqual(["11111111", "22222222"]);
  expect(clock.pendingTimers).toBe(0);
});

test("a second PING has both answered at once, in their order", () => {
  pinged("11111111");
  pinged("22222222");
  expect(answered).toEqual(["11111111", "22222222"]);
  expect(clock.pendingTimers).toBe(0);
});

test("where more than 32 KiB were sent since the last answer, the next one leaves at once", () => {
  writer.position = 32 * 1024;
  pinged("11111111");
  expect(answered).toEqual([]);
  clock.advance(10);
  writer.position += 32 * 1024 + 1;
  pinged("22222222");
  expect(answered).toEqual(["11111111", "22222222"]);
  expect(clock.pendingTimers).toBe(0);
});

test("what is held is not answered after the end of the connection", () => {
  pinged("11111111");
  answers.stop();
  clock.advance(1_000);
  expect(answered).toEqual([]);
  expect(clock.pendingTimers).toBe(0);
});

test("that a held answer cannot be written is reported, and thrown by no timer", () => {
  const error = new PeerError(errorCode.ENHANCE_YOUR_CALM, "the peer does not read");
  writer.pingAck = () => {
    throw error;
  };
  pinged("11111111");
  clock.advance(10);
  expect(refused).toEqual([error]);
  // Who reads frames takes it as any other error of the peer's.
  pinged("22222222");
  expect(() => pinged("33333333")).toThrow(error);
  expect(refused.length).toBe(1);
});
