// The tests of the testing room use nothing of src: they write and read as any HTTP client would.

export async function put(endpoint: string, key: string, value: string): Promise<void> {
  await post(endpoint, "put", { key: encode(key), value: encode(value) });
}

/** Linearizable, unless `serializable`: then a member without a leader answers too. */
export async function get(endpoint: string, key: string, { serializable = false } = {}): Promise<string | undefined> {
  const { kvs } = (await post(endpoint, "range", { key: encode(key), serializable })) as { kvs?: { value: string }[] };
  return kvs?.[0] && Buffer.from(kvs[0].value, "base64").toString();
}

async function post(endpoint: string, method: string, body: object): Promise<unknown> {
  const response = await fetch(`${endpoint}/v3/kv/${method}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { connection: "close" },
    signal: AbortSignal.timeout(3_000),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64");
}
