// The tests of the testing room use nothing of src: they write and read as any HTTP client would.

export async function put(endpoint: string, key: string, value: string): Promise<void> {
  await post(endpoint, "put", { key: encode(key), value: encode(value) });
}

interface GetOptions {
  /** Linearizable, unless this is true: then a member without a leader answers too. */
  readonly serializable?: boolean;
  readonly timeoutMs?: number;
}

export async function get(endpoint: string, key: string, options: GetOptions = {}): Promise<string | undefined> {
  const { serializable = false, timeoutMs } = options;
  const range = { key: encode(key), serializable };
  const { kvs } = (await post(endpoint, "range", range, timeoutMs)) as { kvs?: { value: string }[] };
  return kvs?.[0] && Buffer.from(kvs[0].value, "base64").toString();
}

async function post(endpoint: string, method: string, body: object, timeoutMs = 30_000): Promise<unknown> {
  const response = await fetch(`${endpoint}/v3/kv/${method}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { connection: "close" },
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}
