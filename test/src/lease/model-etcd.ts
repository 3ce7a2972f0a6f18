import type {
  KeepAliveStream,
  LeaseKeepAliveResponse,
  Protocol,
  StreamEndpoint,
  StreamHandlers,
} from "../../../src/connection/index.ts";
import { UnavailableError } from "../../../src/index.ts";
import type { LeaseId } from "../../../src/model/lease-id.ts";
import type { FakeClock } from "../../support/fake-clock.ts";

/** How a link behaves. `refused`: connections break, and new ones fail. `silent`: nothing goes through until it is up again. */
export type LinkState = "up" | "refused" | "silent";

interface ModelStream {
  readonly link: Link;
  readonly handlers: StreamHandlers<LeaseKeepAliveResponse>;
  readonly unanswered: Set<LeaseId>;
  /** What waits for the link. */
  waiting: (() => void)[];
  closed: boolean;
}

interface Link {
  readonly endpoint: StreamEndpoint;
  state: LinkState;
  latencyMs: number;
  /** Dials and streams that wait for the link. */
  waiting: (() => void)[];
}

/** The leases of an etcd and the links to its members, on a clock that is moved by hand. */
export class ModelEtcd {
  readonly links: readonly Link[];
  /** All that is wrong with how it was asked. */
  readonly wrong: string[] = [];
  /** Until when etcd has each lease, by `elapsedMs()`. */
  readonly #endsAtMs = new Map<LeaseId, number>();
  readonly #ttlMs = new Map<LeaseId, number>();
  readonly #clock: FakeClock;
  readonly #streams = new Set<ModelStream>();
  renewals = 0;
  dials = 0;

  constructor(clock: FakeClock, members: number) {
    this.#clock = clock;
    this.links = Array.from({ length: members }, (_, i) => ({
      endpoint: { url: `http://member-${i}` } as StreamEndpoint,
      state: "up",
      latencyMs: 1,
      waiting: [],
    }));
  }

  get protocol(): Protocol {
    const endpoints = this.links.map(({ endpoint }) => endpoint);
    return {
      streamEndpoints: (after?: StreamEndpoint) => {
        const first = after ? endpoints.indexOf(after) + 1 : 0;
        return endpoints.map((_, i) => endpoints[(first + i) % endpoints.length]);
      },
      streamWorked() {},
      streamFailed() {},
      openKeepAlive: (
        endpoint: StreamEndpoint,
        limitMs: number,
        handlers: StreamHandlers<LeaseKeepAliveResponse>,
        signal: AbortSignal,
      ) => this.#open(endpoint, limitMs, handlers, signal),
    } as unknown as Protocol;
  }

  /** A lease that was granted now. */
  grant(id: LeaseId, ttlSeconds: number): void {
    this.#ttlMs.set(id, ttlSeconds * 1_000);
    this.#endsAtMs.set(id, this.#clock.elapsedMs() + ttlSeconds * 1_000);
  }

  revoke(id: LeaseId): void {
    this.#endsAtMs.delete(id);
  }

  has(id: LeaseId): boolean {
    return (this.#endsAtMs.get(id) ?? 0) > this.#clock.elapsedMs();
  }

  set(link: Link, state: LinkState): void {
    link.state = state;
    if (state === "silent") return;
    for (const go of link.waiting.splice(0)) go();
    if (state === "up") return;
    for (const stream of [...this.#streams]) if (stream.link === link) this.#break(stream);
  }

  async #open(
    endpoint: StreamEndpoint,
    limitMs: number,
    handlers: StreamHandlers<LeaseKeepAliveResponse>,
    signal: AbortSignal,
  ): Promise<KeepAliveStream> {
    this.dials++;
    const link = this.links.find((candidate) => candidate.endpoint === endpoint) as Link;
    await new Promise<void>((resolve, reject) => {
      const timer = this.#clock.timer(limitMs, () => reject(away("no connection in time")));
      signal.addEventListener("abort", () => reject(signal.reason));
      const go = () =>
        this.#clock.timer(link.latencyMs, () => {
          if (link.state === "silent") link.waiting.push(go);
          else if (link.state === "refused") reject(away("refused"));
          else resolve();
          if (link.state !== "silent") timer.cancel();
        });
      go();
    });
    const stream: ModelStream = { link, handlers, unanswered: new Set(), waiting: [], closed: false };
    this.#streams.add(stream);
    return {
      endpoint,
      renew: (id) => this.#renew(stream, id),
      close: () => {
        stream.closed = true;
        this.#streams.delete(stream);
      },
    };
  }

  #renew(stream: ModelStream, id: LeaseId): void {
    if (stream.unanswered.has(id)) this.wrong.push(`${id} was asked for twice on one stream`);
    stream.unanswered.add(id);
    this.#travel(stream, () => {
      this.renewals++;
      const ttlMs = this.#ttlMs.get(id) ?? 0;
      const alive = this.has(id);
      if (alive) this.#endsAtMs.set(id, this.#clock.elapsedMs() + ttlMs);
      this.#travel(stream, () => {
        stream.unanswered.delete(id);
        stream.handlers.onMessage({ id, ttlSeconds: alive ? ttlMs / 1_000 : 0 });
      });
    });
  }

  /** Does it a latency later, if the stream is there then and its link is up; when it is up again otherwise. */
  #travel(stream: ModelStream, arrive: () => void): void {
    const go = () => {
      if (stream.closed) return;
      if (stream.link.state === "silent") stream.link.waiting.push(go);
      else arrive();
    };
    this.#clock.timer(stream.link.latencyMs, go);
  }

  #break(stream: ModelStream): void {
    stream.closed = true;
    this.#streams.delete(stream);
    stream.handlers.onEnd(away("cut"));
  }
}

function away(why: string): UnavailableError {
  return new UnavailableError(why, { retryable: true });
}
