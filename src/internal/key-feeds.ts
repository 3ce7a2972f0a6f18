import type { EtcdError } from "../errors/etcd-error.ts";

/** What a key is like, without its value. */
export interface KeyMark {
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease?: string | undefined;
}

/** What is known of a key, by an answer of etcd. */
export interface KeyState {
  /** Undefined: it was not there. */
  readonly mark: KeyMark | undefined;
  /** It was so at this revision. */
  readonly revision: number;
  /** `openStream` as it was before etcd was asked. */
  readonly provenOn: object | undefined;
}

export interface KeyListener<Kv> {
  /** The key was changed, at this revision; undefined: deleted. */
  onKey(kv: Kv | undefined, revision: number): void;
  /** It is followed, from the start or again. */
  onLive(): void;
  /** It is not followed for now, and goes on by itself. */
  onStale(error: EtcdError): void;
  /** It is over: compacted, another history, the client closed. Nothing follows. */
  onEnd(error: EtcdError): void;
}

/**
 * Follows single keys whose owners know what stands there, and look again and again: cheaper than a watch or a mirror
 * of each. Every change from `state` on comes, across reconnects, or `onEnd`; a server before 3.5.18 can leave out a
 * deletion when it is compacted within the first 100 ms.
 */
export interface KeyFeeds<Kv> {
  /** Identifies the stream of watches that is open now: what is read while it is open is of the history it follows. */
  readonly openStream: object | undefined;
  /** The returned function ends it, without a word. */
  follow(key: string, state: KeyState, listener: KeyListener<Kv>): () => void;
  /** Calls back when the client is closed, at once if it is, also for who follows nothing. @returns takes it off */
  onClosed(listener: (error: EtcdError) => void): () => void;
}

/** A property, so that what stands in for a client, by its prototype or as a proxy, has them too. */
const keyFeeds = Symbol("keyFeeds");

/** Those of a client, whose entries are `Kv`. */
export function keyFeedsOf<Kv>(client: object): KeyFeeds<Kv> {
  const feeds: KeyFeeds<Kv> | undefined = Reflect.get(client, keyFeeds);
  if (feeds === undefined) throw new TypeError("an EtcdClient is needed");
  return feeds;
}

/** Called once, when the client is made. */
export function setKeyFeeds<Kv>(client: object, feeds: KeyFeeds<Kv>): void {
  Object.defineProperty(client, keyFeeds, { value: feeds, configurable: true });
}
