import { once } from "node:events";
import { type IncomingMessage, request as requestPlain } from "node:http";
import { Agent, request as requestSecure } from "node:https";
import { text } from "node:stream/consumers";

/** What a client needs where etcd asks for a certificate: PEM. */
export interface ClientTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface HttpRequest {
  /** Sent as JSON, by POST. @default none: GET */
  readonly body?: object | undefined;
  readonly token?: string | undefined;
  /** @default that of the environment, for https */
  readonly tls?: ClientTls | undefined;
  readonly timeoutMs: number;
}

/** It keeps no connection, but what makes the next one cheap. */
const resuming = new Agent({ keepAlive: false });

/**
 * One request over a connection of its own: one that was kept would be found dead after a member was killed.
 *
 * @throws a TimeoutError after `timeoutMs`
 */
export async function httpRequest(
  url: string,
  { body, token, tls, timeoutMs }: HttpRequest,
): Promise<{ readonly status: number; readonly text: string }> {
  const signal = AbortSignal.timeout(timeoutMs);
  const options = {
    method: body ? "POST" : "GET",
    headers: token === undefined ? {} : { authorization: token },
    signal,
  };
  const sent = url.startsWith("https:")
    ? requestSecure(url, { ...options, ...tls, agent: resuming })
    : requestPlain(url, { ...options, agent: false });
  sent.end(body && JSON.stringify(body));
  try {
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, text: await text(answer) };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
