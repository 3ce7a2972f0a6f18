import { withUnknownOutcome } from "../errors/of-call.ts";
import { PermissionDeniedError } from "../errors/permission-denied-error.ts";
import { EtcdTimeoutError } from "../errors/timeout-error.ts";
import { UnauthenticatedError } from "../errors/unauthenticated-error.ts";
import { UnavailableError } from "../errors/unavailable-error.ts";
import { within } from "../internal/abort.ts";
import { Backoff } from "../internal/backoff.ts";
import { log } from "../internal/log.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { Attempt } from "./attempt.ts";
import { AttemptTime } from "./attempt-time.ts";
import type { Authenticator, Token } from "./auth/authenticator.ts";
import type { CallScope } from "./call-scope.ts";
import type { Endpoint } from "./endpoints/endpoint.ts";
import type { EndpointChannel } from "./endpoints/endpoint-channel.ts";
import type { EndpointsInUse } from "./endpoints/endpoints-in-use.ts";
import { type Failure, isOfOldRevision, translateFailure } from "./errors/error-translation.ts";
import { grpcAnswer } from "./errors/grpc-answer.ts";
import type { MemberQuestions } from "./member-questions.ts";
import { outOfTime } from "./out-of-time.ts";
import type { RpcOptions } from "./rpc-options.ts";
import { TlsError } from "./tls/tls-error.ts";

const debug = log("connection");

/** What may write is not sent once more when less is left, or less than a tenth of the call's time. */
const LEAST_ATTEMPT_MS = 100;
/**
 * A fresh token may be refused, by a member that has not heard of it yet for instance: not for ever, but more than
 * once.
 */
const MOST_RENEWALS = 3;
/** What is unanswered for less says nothing about the connection, only about the caller's patience. */
const SILENCE_MS = 500;

/** What the calls of a connection share. */
export interface CallRoutes {
  readonly endpoints: EndpointsInUse;
  readonly runtime: Runtime;
  readonly authenticator: Authenticator | undefined;
  readonly questions: MemberQuestions;
}

export interface Attempted<Response> {
  readonly name: string;
  readonly rpc: RpcOptions;
  /** How long the request is. */
  readonly requestBytes: number;
  /** Makes one attempt. */
  send(at: Attempt): Promise<Response>;
  /** Whether what has come of an attempt rules out another one. @default never */
  begun?(): boolean;
}

/** Where an attempt goes. */
interface Route {
  readonly endpoint: Endpoint;
  readonly token: Token | undefined;
  channel: EndpointChannel | undefined;
  limitMs: number;
}

/** An attempt that was made before the first round, and failed. */
interface FirstTry {
  readonly route: Route;
  readonly error: unknown;
}

/** What came of a round: an answer, or why there is none. */
type Round<Response> = { readonly answer: Response } | { readonly refused: boolean; readonly insecure: boolean };

/**
 * The attempts of one call: from endpoint to endpoint, within its time.
 *
 *     ┌─ all is at hand: sent at once ──────────────▶ answered
 *   run                                     ┌─────────▲
 *     └─ a connection, token or proof is ─▶ round of the endpoints ─▶ a pause, and the next round
 *        missing, or the first try failed     └─▶ thrown: nothing better can follow, or no time is left
 */
export class CallAttempts<Response> {
  readonly #routes: CallRoutes;
  readonly #scope: CallScope;
  readonly #call: Attempted<Response>;
  #deadlineMs: number;
  /** When the attempt left that has no limit. */
  #unboundedSinceMs: number | undefined;
  /** Such a one has failed: the call took longer than the time that it has for all else. */
  #tookLonger = false;
  #last: Failure | undefined;
  /** An attempt that has ended may have been executed. */
  #maybeExecuted = false;
  /** An attempt has left, and what came of it is not known yet. */
  #underWay = false;
  #renewals = 0;
  readonly #time: AttemptTime;

  /** @param scope is released when the call is over */
  constructor(routes: CallRoutes, scope: CallScope, call: Attempted<Response>) {
    this.#routes = routes;
    this.#scope = scope;
    this.#call = call;
    this.#deadlineMs = routes.runtime.clock.monotonicMs() + call.rpc.timeoutMs;
    this.#time = new AttemptTime(call.rpc.timeoutMs);
  }

  /** Most calls find a connection that works: they leave in the turn in which they are made, and wait once. */
  run(): Promise<Response> {
    const route = this.#atHand();
    if (!route) return this.#inRounds();
    this.#call.rpc.asked?.push(route.endpoint);
    return this.#send(route).then(
      (answer) => {
        this.#scope.release();
        this.#answered(route.endpoint);
        return answer;
      },
      (error: unknown) => this.#inRounds({ route, error }),
    );
  }

  /** The way to the endpoint that works, unless something has to be waited for first. */
  #atHand(): Route | undefined {
    const { endpoints, authenticator, questions } = this.#routes;
    const { rpc } = this.#call;
    const endpoint = rpc.only ?? endpoints.current("calls");
    const channel = endpoint?.open("calls");
    if (!channel || !endpoint) return undefined;
    const token = rpc.anonymous ? undefined : authenticator?.token;
    if (authenticator && !rpc.anonymous && !token) return undefined;
    if (token && questions.fits(token, endpoint, channel)) return undefined;
    if (rpc.kind === "write" && questions.stillThere(endpoint, channel)) return undefined;
    const leftMs = this.#leftMs;
    return leftMs > 0 ? { endpoint, token, channel, limitMs: this.#limitMs(leftMs) } : undefined;
  }

  #send({ endpoint, channel, limitMs, token }: Route): Promise<Response> {
    const { kind, described, slow } = this.#call.rpc;
    if (described) {
      described.attempt++;
      described.endpoint = endpoint.url;
      described.grpcStatus = undefined;
    }
    this.#underWay = true;
    if (slow === "unbounded") this.#unboundedSinceMs = this.#routes.runtime.clock.monotonicMs();
    return this.#call.send({ channel: channel as EndpointChannel, kind, limitMs, token });
  }

  async #inRounds(first?: FirstTry): Promise<Response> {
    const { runtime } = this.#routes;
    const backoff = new Backoff(runtime, { initialMs: 20, maxMs: 500 });
    let failed = first;
    try {
      for (;;) {
        const round = await this.#round(failed);
        failed = undefined;
        if ("answer" in round) return round.answer;
        // Also a fresh token may be of a member that lags: from the second on it is given time.
        if (round.refused && ++this.#renewals === 1) continue;
        // No endpoint can be trusted, or none trusts us: to wait for that to change is up to the caller.
        if (!round.refused && round.insecure && this.#last) throw this.#last.error;
        this.#time.roundEnded();
        const restMs = this.#leftMs;
        const pauseMs = backoff.nextMs({ leftMs: restMs });
        await this.#scope.pause(runtime.clock, Math.min(pauseMs, restMs));
        if (pauseMs >= restMs) throw this.#outOfTime(this.#last);
      }
    } catch (error) {
      throw this.#withOutcome(error);
    } finally {
      this.#scope.release();
    }
  }

  /** Each endpoint once, until one answers or the token is refused. */
  async #round(first: FirstTry | undefined): Promise<Round<Response>> {
    const { endpoints, authenticator } = this.#routes;
    const { rpc } = this.#call;
    let insecure = true;
    if (first) {
      if (this.#refusesToken(first.route, first.error)) return { refused: true, insecure };
      insecure = this.#last?.error instanceof TlsError;
    }
    let token = first?.route.token;
    // Where none is needed nothing is awaited: the time of this call's attempts begins before that of who waits for it.
    if (authenticator && !first && !rpc.anonymous) token = await this.#token(authenticator);
    for (const endpoint of rpc.only ? [rpc.only] : endpoints.inOrder("calls")) {
      if (endpoint === first?.route.endpoint) continue;
      const leftMs = this.#leftMs;
      // One more attempt with hardly any time would hide why the one before it failed, and leave open what became of
      // a write.
      if (leftMs <= (this.#last ? this.#leastMs : 0)) throw this.#outOfTime(this.#last);
      const route: Route = { endpoint, token, channel: undefined, limitMs: this.#repeatableMs(leftMs) };
      rpc.asked?.push(endpoint);
      try {
        if (!(await this.#connect(route))) return { refused: true, insecure };
        route.limitMs = this.#limitMs(this.#leftMs);
        const answer = await this.#send(route);
        this.#answered(endpoint);
        return { answer };
      } catch (error) {
        if (error === ownTimeUp) throw this.#outOfTime(this.#last);
        if (this.#refusesToken(route, error)) return { refused: true, insecure };
        if (!(this.#last?.error instanceof TlsError)) insecure = false;
      }
    }
    return { refused: false, insecure };
  }

  #answered(endpoint: Endpoint): void {
    const { endpoints } = this.#routes;
    if (this.#call.rpc.only) endpoints.answered();
    else endpoints.worked("calls", endpoint);
  }

  #token(authenticator: Authenticator): Promise<Token> {
    return authenticator.tokenFor({
      scope: this.#scope,
      deadlineMs: this.#deadlineMs,
      outOfTime: (failure) => this.#outOfTime(failure),
    });
  }

  /**
   * Waits for a connection, and for the proofs that it and the token need.
   *
   * @returns false when the token does not fit the member at the other end: it is forgotten
   * @throws ownTimeUp when the call ends before a proof had its time
   */
  async #connect(route: Route): Promise<boolean> {
    const { authenticator, questions, runtime } = this.#routes;
    const { endpoint, token } = route;
    const answered = <T>(promise: Promise<T>) => {
      // What the waits before took is gone: none may go on beyond the time of the call.
      const leftMs = this.#leftMs;
      const late = leftMs < route.limitMs ? () => ownTimeUp : () => saysNothing(endpoint);
      route.limitMs = Math.min(route.limitMs, leftMs);
      return this.#scope.waitFor(() => within(runtime.clock, promise, route.limitMs, late));
    };
    const channel = await this.#scope.waitFor(() => endpoint.connect("calls", route.limitMs));
    route.channel = channel;
    const fits = token && this.#renewals < MOST_RENEWALS && questions.fits(token, endpoint, channel);
    if (fits && !(await answered(fits))) {
      authenticator?.forget(token);
      return false;
    }
    const proof = this.#call.rpc.kind === "write" ? questions.stillThere(endpoint, channel) : undefined;
    if (proof) await answered(proof);
    return true;
  }

  /**
   * Takes note of an attempt that failed.
   *
   * @returns true when the token was refused, which is forgotten; false when the next endpoint may do better
   * @throws the error, where nothing better can follow
   */
  #refusesToken({ endpoint, channel, limitMs, token }: Route, error: unknown): boolean {
    this.#scope.throwIfEnded();
    const wasSent = this.#underWay;
    this.#underWay = false;
    this.#leaveOutUnbounded();
    const { requestBytes, name, rpc, begun } = this.#call;
    const { kind, described, patience, slow } = rpc;
    const last = translateFailure(error, { write: kind !== "read", earlierUnknown: this.#maybeExecuted, requestBytes });
    const late = last.error instanceof EtcdTimeoutError;
    // That one with hardly any time had no answer, or no connection, says nothing, and would hide why those before it
    // failed.
    const hadTime = limitMs >= this.#hardlyAnyMs;
    const saysWhy = hadTime || (wasSent && !late);
    if (!this.#last || (saysWhy && !(late && last.neverExecuted))) {
      this.#last = last;
      patience?.attemptFailed(last);
    }
    if (described) {
      described.endpoint = endpoint.url;
      described.grpcStatus = grpcAnswer(error)?.code;
    }
    if (kind !== "read" && !last.neverExecuted) this.#maybeExecuted = true;
    debug("%s on %s failed: %s", name, endpoint.url, last.error.message);
    this.#time.failed(late);
    if (last.endpointAtFault && saysWhy) {
      this.#routes.endpoints.failed(endpoint, last.error);
      if (channel && !late) endpoint.memberFailed("calls", channel);
    }
    // It may be frozen, or the link dead: the next call gets a new connection. Where patience is asked for, pings show
    // it.
    if (late && channel && limitMs >= SILENCE_MS && !patience && !slow) endpoint.drop("calls", channel);
    if (token && isRefused(token, last) && (this.#renewals < MOST_RENEWALS || isOfOldRevision(last))) {
      // Etcd did nothing this time, and may do it for another token. What must not be executed twice had no attempt
      // before.
      this.#routes.authenticator?.forget(token);
      return true;
    }
    if (!last.worthRetrying || begun?.() || (kind === "write" && !last.neverExecuted)) throw last.error;
    return false;
  }

  /** The time of a call is for reaching a member: what an attempt took that has no limit is not of it. */
  #leaveOutUnbounded(): void {
    if (this.#unboundedSinceMs === undefined) return;
    this.#deadlineMs += this.#routes.runtime.clock.monotonicMs() - this.#unboundedSinceMs;
    this.#unboundedSinceMs = undefined;
    this.#tookLonger = true;
  }

  /** A write that left cannot go anywhere else, so it gets all the time there is. */
  #limitMs(leftMs: number): number {
    const { kind, slow } = this.#call.rpc;
    if (slow === "unbounded") return Number.POSITIVE_INFINITY;
    return kind === "write" || slow ? leftMs : this.#repeatableMs(leftMs);
  }

  /** How long an attempt may take that can be repeated. */
  #repeatableMs(leftMs: number): number {
    const { patience } = this.#call.rpc;
    return patience ? Math.min(patience.attemptLimitMs, leftMs) : this.#time.limitMs(leftMs);
  }

  get #leastMs(): number {
    return this.#call.rpc.kind === "read" ? 0 : this.#hardlyAnyMs;
  }

  get #hardlyAnyMs(): number {
    return Math.min(LEAST_ATTEMPT_MS, this.#call.rpc.timeoutMs / 10);
  }

  get #leftMs(): number {
    return this.#deadlineMs - this.#routes.runtime.clock.monotonicMs();
  }

  /** What ends a call need not come from an attempt: that it was closed, or gets no token any more. */
  #withOutcome(error: unknown): unknown {
    const { kind, signal } = this.#call.rpc;
    const mayBeExecuted = kind !== "read" && (this.#maybeExecuted || this.#underWay);
    return mayBeExecuted ? withUnknownOutcome(error, signal) : error;
  }

  #outOfTime(last: Failure | undefined): Error {
    const { name, rpc } = this.#call;
    const { all, unreached } = this.#routes.endpoints;
    return outOfTime({
      name,
      timeoutMs: this.#tookLonger ? undefined : rpc.timeoutMs,
      last,
      unreached: all.length > 1 && !rpc.only && last?.endpointAtFault ? unreached : undefined,
      outcomeUnknown: this.#maybeExecuted,
    });
  }
}

/**
 * Whether another token may do better. Without any, etcd may take the client's certificate for its user, who may do
 * less.
 */
function isRefused(token: Token, { error }: Failure): boolean {
  return error instanceof UnauthenticatedError || (error instanceof PermissionDeniedError && token.value === undefined);
}

/** The time of the call has ended a wait that had more: no endpoint is to blame. */
const ownTimeUp = new Error("the time of the call is up");

function saysNothing({ url }: Endpoint): Error {
  return new UnavailableError(`${url}: it does not answer`, { retryable: true });
}
