import { describe, expect, test } from "vitest";
import { FrameReader } from "../../../src/grpc/http2/frame-reader.ts";
import { data, type Frame, flag, frame, ping, type } from "../../support/http2-frames.ts";
import { seeded } from "../../support/seeded.ts";

/** Reads in pieces, in one buffer that is overwritten by each read, as a socket's is. */
function reading() {
  const frames: Frame[] = [];
  const reader = new FrameReader({
    frame(frameType, flags, id, bytes, start, end) {
      frames.push({ type: frameType, flags, id, payload: Buffer.from(bytes.subarray(start, end)) });
    },
  });
  const buffer = Buffer.alloc(64 * 1024);
  const read = (piece: Buffer) => {
    buffer.fill(0xee);
    piece.copy(buffer);
    reader.read(buffer, piece.length);
  };
  return { frames, read, reader };
}

test("a frame that is whole is handed on at once, with its parts", () => {
  const { frames, read } = reading();
  read(Buffer.concat([frame(type.HEADERS, 0x25, 7, Buffer.from("abc")), frame(0xaa, 0xff, 0x7fffffff)]));
  expect(frames).toEqual([
    { type: type.HEADERS, flags: 0x25, id: 7, payload: Buffer.from("abc") },
    { type: 0xaa, flags: 0xff, id: 0x7fffffff, payload: Buffer.alloc(0) },
  ]);
});

test("the reserved bit of a stream id is passed over", () => {
  const { frames, read } = reading();
  read(frame(type.PING, 0, 0x80000003, Buffer.alloc(8)));
  expect(frames[0]?.id).toBe(3);
});

test("DATA that comes in parts is handed on in parts, and ends the stream with the last", () => {
  const { frames, read } = reading();
  const whole = data(5, Buffer.from("0123456789"), flag.END_STREAM);
  read(whole.subarray(0, 12));
  read(whole.subarray(12, 15));
  read(whole.subarray(15));
  expect(frames.map(({ flags, payload }) => [flags, payload.toString()])).toEqual([
    [0, "012"],
    [0, "345"],
    [flag.END_STREAM, "6789"],
  ]);
});

test("padded DATA is put together first", () => {
  const { frames, read } = reading();
  const padded = data(5, Buffer.from("\x02abc\0\0"), flag.PADDED);
  read(padded.subarray(0, 11));
  expect(frames).toEqual([]);
  read(padded.subarray(11));
  expect(frames.map(({ payload }) => payload.toString())).toEqual(["\x02abc\0\0"]);
});

describe("however the socket cuts them, the frames are the same", () => {
  const random = seeded("frame reader");
  test("one byte at a time, and in pieces of any size", () => {
    for (let round = 0; round < 300; round++) {
      const sent: Frame[] = Array.from({ length: random.between(1, 12) }, () => ({
        type: random.pick([0, 0, 1, 4, 6, 9, 0x42]),
        flags: random.pick([0, 1, 4, 5, 8]),
        id: random.between(0, 9),
        payload: Buffer.alloc(random.pick([0, 1, 8, 9, 100, 5_000, 16_384]), random.between(1, 255)),
      }));
      const bytes = Buffer.concat(sent.map((it) => frame(it.type, it.flags, it.id, it.payload)));
      const { frames, read } = reading();
      for (let at = 0; at < bytes.length; ) {
        const next = Math.min(bytes.length, at + (round === 0 ? 1 : random.pick([1, 2, 8, 9, 10, 200, 9_000, 60_000])));
        read(bytes.subarray(at, next));
        at = next;
      }
      expect(joined(frames), `seed ${random.seed}`).toEqual(joined(sent));
    }
  });
});

test("more than the limit is refused as soon as the header says so", () => {
  const { read } = reading();
  const header = frame(type.DATA, 0, 1, Buffer.alloc(0), 16_385);
  expect(() => read(header)).toThrow("16385 bytes");
  const parts = reading();
  parts.read(header.subarray(0, 4));
  expect(() => parts.read(header.subarray(4))).toThrow("16385 bytes");
});

test("a reader that was stopped in the midst of a read hands nothing more on", () => {
  let seen = 0;
  const reader = new FrameReader({
    frame() {
      seen++;
      reader.stop();
    },
  });
  const bytes = Buffer.concat([ping(), ping(), ping()]);
  reader.read(bytes, bytes.length);
  expect(seen).toBe(1);
});

/** Parts of DATA put together again: that they are parts is the reader's own choice. */
function joined(frames: readonly Frame[]): string[] {
  const all: { head: string; flags: number; bytes: Buffer[] }[] = [];
  for (const { type: frameType, flags, id, payload } of frames) {
    const last = all.at(-1);
    const head = `${frameType} ${id}`;
    const mayJoin = frameType === type.DATA && (flags & flag.PADDED) === 0 && last?.head === head;
    if (mayJoin && last && (last.flags & (flag.END_STREAM | flag.PADDED)) === 0) {
      last.bytes.push(payload);
      last.flags = flags;
    } else all.push({ head, flags, bytes: [payload] });
  }
  return all.map(({ head, flags, bytes }) => `${head} ${flags} ${Buffer.concat(bytes).toString("hex")}`);
}
