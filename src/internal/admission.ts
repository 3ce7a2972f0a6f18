import { EtcdError } from "../errors/etcd-error.ts";
import { onAbort } from "./abort.ts";
import { channels } from "./channels.ts";
import { type Clock, systemClock, type Timer } from "./clock.ts";
import { runtimeOf } from "./runtime-of.ts";

/** So many calls are under way at once while etcd answers. */
const MOST = 64;
/** No fewer, however many fail: some that hang must not keep all others from finding out that etcd is back. */
const LEAST = 8;

export interface AdmissionOptions {
  /** Goes on with what was begun, or ends it: before all that only begin. @default false */
  readonly first?: boolean | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the wait, too. @default it waits for as long as it takes */
  readonly patience?: Patience | undefined;
}

/** For how long none of the client's calls may work. */
export interface Patience {
  readonly ms: number;
  /** What the wait ends with then. */
  error(): Error;
  /** Whether what is waited for fails: then the calls that work beside it do not count. */
  isFailing?(): boolean;
}

interface Waiting {
  readonly begin: () => void;
  given: boolean;
}

/** How many this process has made. */
let made = 0;

const ofClients = new WeakMap<object, Admission>();

/**
 * Bounds how many calls of a client's recipes are under way at once; the others wait in the order in which they came.
 * Thousands that are sent together expire together before an answer is read, and are all sent again. A call's own time
 * begins when its turn comes.
 *
 * Each call that fails because etcd is away or too slow halves the bound, each that works adds one to it again, so a
 * crowd comes back from an outage little by little.
 * Source: the additive increase and multiplicative decrease of TCP (Chiu and Jain, 1989).
 *
 * What users call, renewals and watches do not come here, and so never wait. Only single requests may: one that waited
 * for another in its turn could wait for ever.
 */
export class Admission {
  /** Those that go on with something, then those that begin. */
  readonly #lines = [new Line(), new Line()] as const;
  readonly #id = ++made;
  readonly #clock: Clock;
  #underWay = 0;
  #waiting = 0;
  /** When a call worked last (monotonic). */
  #workedMs = Number.NEGATIVE_INFINITY;
  #bound = MOST;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** That of a client: one for all its recipes. */
  static of(client: object): Admission {
    const known = ofClients.get(client);
    if (known) return known;
    const admission = new Admission(runtimeOf(client).clock);
    ofClients.set(client, admission);
    return admission;
  }

  /** How many calls are under way. */
  get underWay(): number {
    return this.#underWay;
  }

  /**
   * Makes a call when its turn has come.
   *
   * @throws what `call` throws; `signal.reason`; `patience.error()`
   */
  async run<T>(call: () => Promise<T>, { first = false, signal, patience }: AdmissionOptions = {}): Promise<T> {
    signal?.throwIfAborted();
    if (this.#underWay < this.#bound) this.#underWay++;
    else await this.#turn(this.#lines[first ? 0 : 1], signal, patience);
    try {
      const answer = await call();
      this.#workedMs = this.#clock.monotonicMs();
      this.#bound = Math.min(MOST, this.#bound + 1);
      return answer;
    } catch (error) {
      const isAway = error instanceof EtcdError && error.retryable && !signal?.aborted;
      if (isAway) this.#bound = Math.max(LEAST, Math.ceil(this.#bound / 2));
      throw error;
    } finally {
      this.#underWay--;
      this.#next();
    }
  }

  /**
   * Waits for work that such calls do, as long as any call works: a crowd takes its time, and an etcd that is away does
   * not.
   *
   * @throws what `work` throws; `patience.error()`
   */
  wait<T>(work: Promise<T>, patience: Patience): Promise<T> {
    return new Promise((resolve, reject) => {
      const stop = this.#whenSilent(patience, reject);
      work.then(resolve, reject).finally(stop);
    });
  }

  /** @returns stops waiting for that */
  #whenSilent({ ms, error, isFailing }: Patience, silent: (error: Error) => void): () => void {
    const clock = this.#clock;
    const startMs = clock.monotonicMs();
    const look = (afterMs: number): Timer =>
      clock.timer(afterMs, () => {
        const sinceMs = isFailing?.() ? startMs : Math.max(startMs, this.#workedMs);
        const leftMs = sinceMs + ms - clock.monotonicMs();
        if (leftMs <= 0) silent(error());
        else timer = look(leftMs);
      });
    let timer = look(ms);
    return () => timer.cancel();
  }

  #turn(line: Line, signal: AbortSignal | undefined, patience: Patience | undefined): Promise<void> {
    this.#nowWaiting(1);
    return new Promise((resolve, reject) => {
      let stop = () => {};
      // A signal that compares the clocks can be aborted by now, and calls at once.
      let release = () => {};
      const over = () => {
        waiting.given = true;
        this.#nowWaiting(-1);
        release();
        stop();
      };
      const waiting: Waiting = {
        given: false,
        begin: () => {
          over();
          resolve();
        },
      };
      const giveUp = (reason: unknown) => {
        over();
        reject(reason);
      };
      line.add(waiting);
      if (patience) stop = this.#whenSilent(patience, giveUp);
      release = onAbort(signal, () => giveUp(signal?.reason));
    });
  }

  #nowWaiting(more: number): void {
    this.#waiting += more;
    if (!channels.admission.heard) return;
    channels.admission.publish({
      client: this.#id,
      waiting: this.#waiting,
      underWay: this.#underWay,
      bound: this.#bound,
    });
  }

  #next(): void {
    const [first, then] = this.#lines;
    while (this.#underWay < this.#bound) {
      const next = first.take() ?? then.take();
      if (!next) return;
      this.#underWay++;
      next.given = true;
      next.begin();
    }
  }
}

/** In order; to add and to take one costs the same however many there are. */
class Line {
  #in: Waiting[] = [];
  /** The first of them at the end. */
  #out: Waiting[] = [];

  add(waiting: Waiting): void {
    this.#in.push(waiting);
  }

  take(): Waiting | undefined {
    for (;;) {
      if (this.#out.length === 0) {
        this.#out = this.#in.reverse();
        this.#in = [];
      }
      const next = this.#out.pop();
      // One that was aborted is here still.
      if (!next?.given) return next;
    }
  }
}
