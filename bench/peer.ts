/** One client library, as the benches use it. */
export interface Peer extends AsyncDisposable {
  readonly name: string;
  /** The value of one key as bytes. */
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, value: Uint8Array): Promise<unknown>;
  /** Reads all keys below a prefix, each key and value as text; how many characters they have. */
  snapshot(prefix: string): Promise<number>;
  /** Resolves when etcd follows the prefix. */
  watch(prefix: string, onEvent: OnEvent, startRevision?: number): Promise<PeerWatch>;
}

/** Each event, its key and value as text. */
export type OnEvent = (key: string, text: string) => void;

export interface PeerWatch {
  close(): Promise<unknown>;
}

/** What comes after all keys with this prefix, which is ASCII. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
