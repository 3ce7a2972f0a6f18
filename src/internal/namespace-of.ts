const given = new WeakMap<object, () => Uint8Array>();

/** What a client writes before every key: of two clients that differ in it the same key is another one. */
export function namespaceOf(client: object): Uint8Array {
  return given.get(client)?.() ?? new Uint8Array();
}

/** Called once, when the client is made. */
export function setNamespace(client: object, namespace: () => Uint8Array): void {
  given.set(client, namespace);
}
