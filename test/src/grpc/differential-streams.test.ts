import { createHash } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import { expect, test } from "vitest";
import { connect, type GrpcConnection } from "../../../src/grpc/index.ts";
import { endingOf } from "../../support/ending-of.ts";
import { closeSoon, startGrpcServer } from "../../support/grpc-server.ts";
import { message } from "../../support/http2-frames.ts";
import { ReferenceClient, type ReferenceHandlers, type ReferenceStream } from "../../support/http2-reference.ts";
import { inTurn } from "../../support/in-turn.ts";
import { MessageSplitter } from "../../support/message-splitter.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

// As differential.test.ts, for streams of messages both ways. More than in a run of all tests: GRPC_ROUNDS=200.

const rounds = Number(process.env.GRPC_ROUNDS ?? 4);
const streamsInARound = 40;

/** What is sent on one stream, and how it ends. */
interface Plan {
  readonly id: number;
  /** The sizes of the client's messages, and of the server's. */
  readonly up: readonly number[];
  readonly down: readonly number[];
  /**
   * `in turn`: each message of the client is answered by one of the server, and what is left comes after the client's
   * end. `after the end`: all at that time. `at once`: all in the beginning, and it ends without waiting for the
   * client.
   */
  readonly answers: "in turn" | "after the end" | "at once";
  /** The client waits for an answer to each message before the next one. */
  readonly waits: boolean;
  /** The client says that no message follows. */
  readonly halfCloses: boolean;
  /** The server resets the stream after so many of its messages. */
  readonly resetAfter: number | undefined;
  /** The status in the trailers, or the code of the reset. */
  readonly code: number;
  /** The client aborts after so many messages of the server. The server then never ends. */
  readonly abortAfter: number | undefined;
  /** The client is a slow reader, that stops after each message for a while. */
  readonly slow: boolean;
}

const codes = {
  whole: () => 0,
  status: (random: Seeded) => random.between(1, 16),
  reset: (random: Seeded) => random.pick([2, 7, 8, 11, 12]),
  abort: () => 0,
};

function draw(random: Seeded, id: number): Plan {
  const size = () => random.pick([0, 1, 100, 16_379, 16_384, 70_000, random.between(0, 300_000)]);
  const sizes = (least: number) =>
    Array.from({ length: random.pick([least, least + 1, least + random.between(0, 8)]) }, size);
  const how = random.pick(["whole", "whole", "whole", "status", "reset", "abort"] as const);
  const answers = how === "abort" ? "in turn" : random.pick(["in turn", "after the end", "at once"] as const);
  const up = sizes(0);
  const down = sizes(answers === "in turn" ? up.length : 0);
  // What the client waits for must come: the server may neither have ended nor stop before.
  const heard = answers === "in turn" ? up.length : down.length;
  return {
    id,
    up,
    down,
    answers,
    waits: answers === "in turn" && random.chance(0.5),
    halfCloses: how !== "abort" && (answers !== "at once" || random.chance(0.5)),
    resetAfter: how === "reset" ? random.between(0, down.length) : undefined,
    code: codes[how](random),
    abortAfter: how === "abort" ? random.between(0, heard) : undefined,
    slow: random.chance(0.3),
  };
}

/** What the server saw of a stream. */
interface Seen {
  readonly requests: string[];
  ended: boolean;
  closed: number | undefined;
}

class PlannedServer {
  readonly #plans: readonly Plan[];
  readonly #seen = new Map<string, Seen>();

  constructor(plans: readonly Plan[]) {
    this.#plans = plans;
  }

  of(key: string): Seen {
    const known = this.#seen.get(key) ?? { requests: [], ended: false, closed: undefined };
    this.#seen.set(key, known);
    return known;
  }

  readonly answer = (stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>) => {
    const plan = this.#plans[Number(headers["x-plan"])] as Plan;
    const seen = this.of(`${headers["x-client"]} ${plan.id}`);
    stream.on("error", () => {});
    stream.on("close", () => {
      seen.closed = stream.rstCode;
    });
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    const status = {
      "grpc-status": String(plan.code),
      ...(plan.code !== 0 && { "grpc-message": "not%20this%20time" }),
    };
    stream.on("wantTrailers", () => stream.sendTrailers(status));
    let sent = 0;
    const say = (most: number) => {
      for (; sent < Math.min(most, plan.down.length) && sent !== plan.resetAfter && !stream.destroyed; sent++) {
        stream.write(message(Buffer.alloc(plan.down[sent] as number, sent)));
      }
      if (sent === plan.resetAfter) closeSoon(stream, plan.code);
      else if (most === Number.POSITIVE_INFINITY && plan.abortAfter === undefined) stream.end();
    };
    const splitter = new MessageSplitter((request) => {
      seen.requests.push(digest(request));
      if (plan.answers === "in turn") say(seen.requests.length);
    });
    stream.on("data", (part: Buffer) => splitter.add(part));
    stream.on("end", () => {
      if (stream.rstCode !== 0 || stream.destroyed) return;
      seen.ended = true;
      if (plan.answers !== "at once") say(Number.POSITIVE_INFINITY);
    });
    if (plan.answers === "at once") say(Number.POSITIVE_INFINITY);
    else if (plan.resetAfter === 0) say(0);
  };
}

const digest = (bytes: Buffer) => `${bytes.length} ${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}`;

/** How a stream ended for the client, and what it heard before. */
interface Result {
  readonly how: string;
  readonly words: string;
  readonly heard: readonly string[];
}

type Open = (headers: Record<string, string>, handlers: ReferenceHandlers, slow: boolean) => ReferenceStream;

function run(open: Open, client: string, plan: Plan): Promise<Result> {
  return new Promise((resolve) => {
    const { up, waits, halfCloses, abortAfter } = plan;
    const heard: string[] = [];
    let sent = 0;
    const next = () => {
      if (sent < up.length) stream.write(Buffer.alloc(up[sent] as number, sent++));
      if (sent === up.length && halfCloses) stream.end();
    };
    const abort = () => {
      stream.cancel();
      resolve({ how: "aborted", words: "", heard });
    };
    const handlers: ReferenceHandlers = {
      onMessage(answer) {
        heard.push(digest(answer));
        if (heard.length === abortAfter) abort();
        else if (waits && sent < up.length) next();
      },
      onEnd: ({ how, words }) => resolve({ how, words, heard }),
    };
    const stream = open({ "x-plan": String(plan.id), "x-client": client }, handlers, plan.slow);
    next();
    while (!waits && sent < up.length) next();
    if (abortAfter === 0) setImmediate(abort);
  });
}

const throughReference =
  (client: ReferenceClient): Open =>
  (headers, handlers) =>
    client.stream("/test.Service/Stream", headers, handlers);

const throughOurs =
  (client: GrpcConnection): Open =>
  (headers, handlers, slow) => {
    const stream = client.stream(
      "/test.Service/Stream",
      { metadata: Object.entries(headers) },
      {
        onMessage(answer) {
          if (slow) {
            stream.pause();
            setTimeout(() => stream.resume(), 1);
          }
          handlers.onMessage(answer);
        },
        onEnd: (failure) => handlers.onEnd(endingOf(failure, undefined)),
      },
    );
    return stream;
  };

test("the same streams end alike through Node's HTTP/2 and through ours", { timeout: rounds * 60_000 }, async () => {
  const random = seeded("differential streams");
  for (let round = 0; round < rounds; round++) {
    const plans = Array.from({ length: streamsInARound }, (_, id) => draw(random, id));
    const server = new PlannedServer(plans);
    const settings = {
      initialWindowSize: random.pick([10_000, 65_535, 1_000_000]),
      maxConcurrentStreams: random.pick([1, 3, 100]),
      maxFrameSize: random.pick([16_384, 100_000]),
    };
    const streamWindowBytes = random.pick([10_000, 65_535, 4_000_000]);
    await using grpc = await startGrpcServer(server.answer, { settings, maxSessionMemory: 1_000 });
    await using reference = await ReferenceClient.connect(`http://127.0.0.1:${grpc.target.port}`);
    const ours = await connect(grpc.target, { streamWindowBytes });
    const atOnce = random.pick([1, 4, 20]);
    const theirs = await inTurn(plans, atOnce, (plan) => run(throughReference(reference), "reference", plan));
    const mine = await inTurn(plans, atOnce, (plan) => run(throughOurs(ours), "ours", plan));
    const where = `seed ${random.seed}, round ${round}, settings ${JSON.stringify(settings)}, ${atOnce} at once`;
    for (const plan of plans) {
      const about = `${where}, window ${streamWindowBytes}, plan ${JSON.stringify(plan)}`;
      const [our, their] = [mine[plan.id] as Result, theirs[plan.id] as Result];
      expect([our.how, our.words], about).toEqual([their.how, their.words]);
      const planned = plan.down.map((size, index) => digest(Buffer.alloc(size, index)));
      // A reset may overtake what was said before it.
      if (plan.resetAfter === undefined && plan.abortAfter === undefined) expect(our.heard, about).toEqual(planned);
      else expect(our.heard, about).toEqual(planned.slice(0, our.heard.length));
      const [ourSeen, theirSeen] = [server.of(`ours ${plan.id}`), server.of(`reference ${plan.id}`)];
      // What was aborted at once may never have been heard of.
      if (plan.abortAfter === 0) continue;
      await until(() => ourSeen.closed !== undefined && theirSeen.closed !== undefined, { message: about });
      if (plan.abortAfter !== undefined) expect(ourSeen.closed, about).toBe(theirSeen.closed);
      if (plan.answers !== "at once" && plan.resetAfter === undefined && plan.abortAfter === undefined) {
        expect(ourSeen, about).toMatchObject({ requests: theirSeen.requests, ended: theirSeen.ended });
      }
    }
    expect(ours, where).toMatchObject({ status: "open", counters: { open: 0, queued: 0 } });
    ours.destroy();
  }
});
