import type { Exchange, ExchangePort, Receiver } from "./exchange.ts";
import type { GrpcCall, OnAnswer } from "./grpc-connection.ts";
import { type GrpcFailure, grpcFailure } from "./grpc-failure.ts";
import type { Metadata } from "./metadata.ts";
import { rethrow } from "./rethrow.ts";
import { grpcStatus } from "./status.ts";

/** One message, one answer. */
export class UnaryCall implements Receiver, GrpcCall {
  readonly #port: ExchangePort;
  #onAnswer: OnAnswer | undefined;
  #answer: Buffer | undefined;
  readonly takesViews = false;
  exchange: Exchange | undefined;

  constructor(port: ExchangePort, onAnswer: OnAnswer) {
    this.#port = port;
    this.#onAnswer = onAnswer;
  }

  cancel(): void {
    this.#onAnswer = undefined;
    if (this.exchange) this.#port.cancel(this.exchange);
  }

  /** It is kept until the trailers say that the call went well. */
  message(message: Buffer, isView: boolean): void {
    if (this.#answer === undefined) {
      this.#answer = isView ? Buffer.from(message) : message;
      return;
    }
    if (this.exchange) {
      this.#port.fail(this.exchange, grpcFailure(grpcStatus.INTERNAL, "the server sent more than one answer"));
    }
  }

  over(failure: GrpcFailure | undefined, metadata: Metadata | undefined): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    const answer = this.#answer;
    this.#answer = undefined;
    if (onAnswer === undefined) return;
    try {
      if (failure !== undefined) onAnswer(failure, undefined, failure.metadata);
      else if (answer !== undefined) onAnswer(undefined, answer, metadata);
      else onAnswer(grpcFailure(grpcStatus.INTERNAL, "the server sent no answer, and said OK"), undefined, metadata);
    } catch (error) {
      rethrow(error);
    }
  }

  drained(): void {}
}
