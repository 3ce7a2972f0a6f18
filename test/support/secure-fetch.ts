import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { buffer } from "node:stream/consumers";

interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

async function send(url: URL, { method, headers, body, signal }: Sent): Promise<Response> {
  const pem = (name: string) => readFileSync(process.env[name] ?? "");
  const asked = request(url, {
    method,
    headers,
    ca: pem("ETCD_CACERT"),
    cert: pem("ETCD_CERT"),
    key: pem("ETCD_KEY"),
    ...(signal && { signal }),
  });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return new Response(new Uint8Array(await buffer(answer)), { status: answer.statusCode ?? 500 });
}

/** etcd takes long for a password, and a test can change what a token is worth: each is good for a second. */
const tokenLastsMs = 1_000;
const tokens = new Map<string, { readonly askedMs: number; readonly token: Promise<string> }>();

function rootToken(url: URL): Promise<string> {
  const known = tokens.get(url.origin);
  if (known && performance.now() < known.askedMs + tokenLastsMs) return known.token;
  const token = askForToken(url);
  tokens.set(url.origin, { askedMs: performance.now(), token });
  return token;
}

async function askForToken(url: URL): Promise<string> {
  const body = JSON.stringify({ name: process.env.ETCD_USERNAME, password: process.env.ETCD_PASSWORD });
  const signal = AbortSignal.timeout(10_000);
  const answer = await send(new URL("/v3/auth/authenticate", url), { method: "POST", headers: {}, body, signal });
  const { token } = (await answer.json()) as { token?: string };
  if (token === undefined) throw new Error(`etcd gave no token: ${answer.status}`);
  return token;
}

/** Tests look at etcd past our client by `fetch`, which takes neither a CA nor a certificate, and has no user. */
const plainFetch = globalThis.fetch;
globalThis.fetch = async (input, init) => {
  const url = new URL(String(input));
  if (url.protocol !== "https:") return plainFetch(input, init);
  const authorization = url.pathname.startsWith("/v3/") ? { authorization: await rootToken(url) } : undefined;
  return send(url, {
    method: init?.method ?? "GET",
    headers: { ...(init?.headers as Record<string, string> | undefined), ...authorization },
    body: init?.body as string | undefined,
    signal: init?.signal ?? undefined,
  });
};
