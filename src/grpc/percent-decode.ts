/**
 * Reads a `grpc-message`: UTF-8, with what is not printable ASCII in percents. What is not well formed stays as it is,
 * byte by byte (grpc/grpc: doc/PROTOCOL-HTTP2.md, Responses).
 */
export function percentDecode(text: string): string {
  if (!text.includes("%")) return text;
  const bytes = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString("utf8");
}
