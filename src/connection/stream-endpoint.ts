/** A server to ask or to open a stream on, as the rooms above see it: something to name and to hand back. */
export interface StreamEndpoint {
  readonly url: string;
}
