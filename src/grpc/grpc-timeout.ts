/**
 * Writes a `grpc-timeout`, which has at most eight digits (grpc/grpc: doc/PROTOCOL-HTTP2.md). It is rounded up to two
 * digits that count, so that the same few come again and again, and the header block with them. Never less time than
 * there is: the deadline that counts is the caller's, and the server learns of it by a reset.
 */
export function timeoutText(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  const step = 10 ** Math.max(0, Math.floor(Math.log10(ms)) - 1);
  const rounded = Math.ceil(ms / step) * step;
  return rounded < 1e8 ? `${rounded}m` : `${Math.min(99_999_999, Math.ceil(rounded / 1_000))}S`;
}
