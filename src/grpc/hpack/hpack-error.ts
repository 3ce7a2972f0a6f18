/** A header block that cannot be decoded. The table is no longer the peer's then, so the connection cannot go on. */
export class HpackError extends Error {
  override readonly name = "HpackError";
}
