import { createHash } from "node:crypto";
import type { ServerHttp2Stream } from "node:http2";
import { expect, test } from "vitest";
import { connect, type GrpcConnection } from "../../../src/grpc/index.ts";
import { endingOf } from "../../support/ending-of.ts";
import { closeSoon, type GrpcServer, startGrpcServer } from "../../support/grpc-server.ts";
import { message } from "../../support/http2-frames.ts";
import { type Ending, ReferenceClient } from "../../support/http2-reference.ts";
import { inTurn } from "../../support/in-turn.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { until } from "../../support/until.ts";

// The oracle is Node's own HTTP/2: the same calls, drawn by a seed, go through it and through ours against the same
// server, and end alike. The server saw the same of both. More than in a run of all tests: GRPC_ROUNDS=200.

const rounds = Number(process.env.GRPC_ROUNDS ?? 4);
const callsInARound = 30;

/** What one call sends, and what the server does with it. */
interface Plan {
  readonly id: number;
  readonly requestBytes: number;
  readonly answerBytes: number;
  /** How the server cuts its answer: bytes of each write. */
  readonly pieceBytes: number;
  readonly does:
    | "answer"
    | "status"
    | "trailers only"
    | "reset"
    | "reset in the midst"
    | "page"
    | "cut"
    | "no status"
    | "wait";
  readonly code: number;
  /** What the client does. */
  readonly client: "waits" | "aborts at once" | "aborts when it was heard" | "has a deadline";
}

/** @param mostBytes of a request: through a small window a large one takes a round trip for each piece */
function draw(random: Seeded, id: number, mostBytes: number): Plan {
  const bytes = () => random.pick([0, 1, 100, 16_379, 16_384, 65_530, 70_000, 300_000, random.between(0, 2_000_000)]);
  const large = () => (random.chance(0.02) ? random.between(5_000_000, 20_000_000) : bytes());
  const client = random.chance(0.75)
    ? "waits"
    : random.pick(["aborts at once", "aborts when it was heard", "has a deadline"] as const);
  // What is given up while the answer is on its way may end either way: the server waits instead.
  const does =
    client === "waits"
      ? random.pick([
          "answer",
          "answer",
          "answer",
          "answer",
          "status",
          "trailers only",
          "reset",
          "reset in the midst",
          "page",
          "cut",
          "no status",
        ] as const)
      : "wait";
  const answerBytes = large();
  return {
    id,
    requestBytes: Math.min(mostBytes, large()),
    answerBytes,
    // Node takes most of a minute for twenty thousand pieces.
    pieceBytes: Math.max(random.pick([1_000, 16_384, 100_000, 10_000_000]), Math.ceil(answerBytes / 500)),
    does,
    code: does === "reset" || does === "reset in the midst" ? random.pick([2, 7, 8, 11, 12]) : random.between(1, 16),
    client,
  };
}

/** What the server saw of one call. */
interface Seen {
  heard: boolean;
  request: string | undefined;
  closed: number | undefined;
}

class PlannedServer {
  readonly plans = new Map<number, Plan>();
  readonly seen = new Map<string, Seen>();
  /** Those that wait for room to write. */
  readonly #waiting = new Map<ServerHttp2Stream, () => void>();

  /** @param key which client's, and which plan */
  of(key: string): Seen {
    const known = this.seen.get(key) ?? { heard: false, request: undefined, closed: undefined };
    this.seen.set(key, known);
    return known;
  }

  readonly answer = (stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>) => {
    const plan = this.plans.get(Number(headers["x-plan"]));
    if (!plan) throw new Error("no such plan");
    const seen = this.of(`${headers["x-client"]} ${plan.id}`);
    seen.heard = true;
    const hash = createHash("sha256");
    stream.on("error", () => {});
    stream.on("drain", () => this.#waiting.get(stream)?.());
    stream.on("close", () => {
      seen.closed = stream.rstCode;
      this.#waiting.get(stream)?.();
    });
    stream.on("data", (part: Buffer) => hash.update(part));
    stream.on("end", () => {
      if (stream.rstCode !== 0 || stream.destroyed) return;
      seen.request = hash.digest("hex");
      void this.#act(stream, plan);
    });
    if (plan.does === "reset") closeSoon(stream, plan.code);
  };

  async #act(stream: ServerHttp2Stream, plan: Plan): Promise<void> {
    const fields = { ":status": 200, "content-type": "application/grpc" };
    const words = encodeURIComponent("not this time: é%");
    if (plan.does === "wait" || stream.destroyed) return;
    if (plan.does === "page") {
      stream.respond({ ":status": 503, "content-type": "text/html" });
      stream.end("<h1>away</h1>");
      return;
    }
    if (plan.does === "trailers only") {
      stream.respond({ ...fields, "grpc-status": String(plan.code), "grpc-message": words }, { endStream: true });
      return;
    }
    const status =
      plan.does === "status" ? { "grpc-status": String(plan.code), "grpc-message": words } : { "grpc-status": "0" };
    stream.respond(fields, { waitForTrailers: plan.does !== "no status" });
    stream.on("wantTrailers", () => stream.sendTrailers(status));
    const whole = message(Buffer.alloc(plan.answerBytes, plan.id));
    const body = plan.does === "cut" ? whole.subarray(0, whole.length - 1) : whole;
    for (let at = 0; at < body.length && !stream.destroyed; at += plan.pieceBytes) {
      if (plan.does === "reset in the midst" && at >= body.length / 2) break;
      if (!stream.write(body.subarray(at, at + plan.pieceBytes))) {
        await new Promise((resolve) => {
          this.#waiting.set(stream, () => resolve(undefined));
        });
      }
    }
    if (plan.does === "reset in the midst") closeSoon(stream, plan.code);
    else stream.end();
  }
}

const deadlineMs = 30;
/** In megabytes. With more than the usual 10 in its hands, Node resets streams. */
const maxSessionMemory = 1_000;

test("the same calls end alike through Node's HTTP/2 and through ours", { timeout: rounds * 60_000 }, async () => {
  const random = seeded("differential");
  for (let round = 0; round < rounds; round++) {
    const server = new PlannedServer();
    const settings = {
      initialWindowSize: random.pick([1_000, 65_535, 1_000_000]),
      maxConcurrentStreams: random.pick([1, 3, 100]),
      maxFrameSize: random.pick([16_384, 100_000]),
      headerTableSize: random.pick([0, 100, 4_096]),
    };
    await using grpc = await startGrpcServer(server.answer, { settings, maxSessionMemory });
    await using reference = await ReferenceClient.connect(`http://127.0.0.1:${grpc.target.port}`);
    const ours = await connect(grpc.target);
    const mostBytes = settings.initialWindowSize * 300;
    const plans = Array.from({ length: callsInARound }, (_, id) => draw(random, id, mostBytes));
    for (const plan of plans) server.plans.set(plan.id, plan);
    const atOnce = random.pick([1, 4, 20]);
    const theirs = await inTurn(plans, atOnce, (plan) => throughReference(reference, server, plan));
    const mine = await inTurn(plans, atOnce, (plan) => throughOurs(ours, server, plan));
    const where = `seed ${random.seed}, round ${round}, settings ${JSON.stringify(settings)}, ${atOnce} at once`;
    for (const plan of plans) {
      const about = `${where}, plan ${JSON.stringify(plan)}`;
      expect(summary(mine[plan.id]), about).toEqual(summary(theirs[plan.id]));
      const [ourSeen, theirSeen] = [server.of(`ours ${plan.id}`), server.of(`reference ${plan.id}`)];
      if (plan.client === "waits" && plan.does !== "reset") expect(ourSeen.request, about).toBe(theirSeen.request);
      if (plan.client === "aborts when it was heard") {
        await until(() => ourSeen.closed !== undefined && theirSeen.closed !== undefined, {
          timeoutMs: 60_000,
          message: about,
        });
        expect(ourSeen.closed, about).toBe(theirSeen.closed);
      }
    }
    expect(ours, where).toMatchObject({ status: "open", counters: { open: 0, queued: 0 } });
    ours.destroy();
    await leaves(grpc);
  }
});

function throughReference(client: ReferenceClient, server: PlannedServer, plan: Plan): Promise<Ending> {
  return client.call("/test.Service/Method", Buffer.alloc(plan.requestBytes, plan.id), {
    headers: { "x-plan": String(plan.id), "x-client": "reference" },
    ...(plan.client === "has a deadline" && { deadlineMs }),
    abort: (abort) => abortAsPlanned(plan, server.of(`reference ${plan.id}`), abort),
  });
}

function throughOurs(client: GrpcConnection, server: PlannedServer, plan: Plan): Promise<Ending> {
  return new Promise((resolve) => {
    const metadata = [
      ["x-plan", String(plan.id)],
      ["x-client", "ours"],
    ] as const;
    const body = Buffer.alloc(plan.requestBytes, plan.id);
    const options = { metadata, ...(plan.client === "has a deadline" && { timeoutMs: deadlineMs }) };
    const call = client.unary("/test.Service/Method", body, options, (failure, answer) =>
      resolve(endingOf(failure, answer)),
    );
    abortAsPlanned(plan, server.of(`ours ${plan.id}`), () => {
      call.cancel();
      resolve({ how: "aborted", words: "", body: undefined });
    });
  });
}

function abortAsPlanned({ client }: Plan, seen: Seen, abort: () => void): void {
  if (client === "aborts at once") setImmediate(abort);
  if (client === "aborts when it was heard") {
    // It may have to wait for slow ones before it.
    void until(() => seen.heard, { timeoutMs: rounds * 60_000 }).then(abort);
  }
}

function summary(ending: Ending | undefined): object {
  if (!ending) return { how: "never" };
  const { how, words, body } = ending;
  return { how, words, body: body && `${body.length} bytes ${createHash("sha256").update(body).digest("hex")}` };
}

/** Nothing of ours is left at the server. */
function leaves({ sessions }: GrpcServer): Promise<unknown> {
  return until(() => sessions.size <= 1, { message: "our session is gone" });
}
