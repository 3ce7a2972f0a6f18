import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import type { EventChannelMessages, TracingChannelMessages } from "../../recipes/index.ts";

export interface Heard<Message> extends Disposable {
  /** In their order; of a tracing channel: at their start. */
  readonly messages: Message[];
  /** Of a tracing channel: what is over. */
  readonly over: Message[];
}

const nothing = () => {};

/** Listens to a plain channel until it is disposed of. */
export function heardOn<Name extends keyof EventChannelMessages>(name: Name): Heard<EventChannelMessages[Name]> {
  const messages: EventChannelMessages[Name][] = [];
  const hear = (message: unknown) => void messages.push(message as EventChannelMessages[Name]);
  subscribe(name, hear);
  return { messages, over: messages, [Symbol.dispose]: () => void unsubscribe(name, hear) };
}

/** Listens to a tracing channel until it is disposed of. */
export function tracedOn<Name extends keyof TracingChannelMessages>(
  name: Name,
  onStart: (message: TracingChannelMessages[Name]) => void = nothing,
): Heard<TracingChannelMessages[Name]> {
  const messages: TracingChannelMessages[Name][] = [];
  const over: TracingChannelMessages[Name][] = [];
  const handlers = {
    start(message: TracingChannelMessages[Name]) {
      messages.push(message);
      onStart(message);
    },
    end: nothing,
    asyncStart: nothing,
    asyncEnd: (message: TracingChannelMessages[Name]) => void over.push(message),
    error: nothing,
  };
  const channel = tracingChannel<object, TracingChannelMessages[Name]>(name);
  channel.subscribe(handlers);
  return { messages, over, [Symbol.dispose]: () => channel.unsubscribe(handlers) };
}
