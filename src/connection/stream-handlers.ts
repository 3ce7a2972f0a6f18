import type { EtcdError } from "../errors/etcd-error.ts";

/** What the owner of a stream receives. */
export interface StreamHandlers<Response> {
  onMessage(message: Response): void;
  /** Called once when the stream is over for any reason but our own `close()`. Nothing follows it. */
  onEnd(error: EtcdError): void;
}
