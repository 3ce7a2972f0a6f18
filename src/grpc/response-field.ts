import type { HeaderField } from "./hpack/header-field.ts";

/** What a field of a response is to us. */
export const fieldKind = {
  UNKNOWN: 0,
  METADATA: 1,
  STATUS: 2,
  CONTENT_TYPE: 3,
  CONTENT_LENGTH: 4,
  GRPC_STATUS: 5,
  GRPC_MESSAGE: 6,
  /** Of gRPC or HTTP, and of no interest. */
  PASSED_OVER: 7,
  MALFORMED: 8,
} as const;

const known: ReadonlyMap<string, number> = new Map([
  [":status", fieldKind.STATUS],
  ["content-type", fieldKind.CONTENT_TYPE],
  ["content-length", fieldKind.CONTENT_LENGTH],
  ["grpc-status", fieldKind.GRPC_STATUS],
  ["grpc-message", fieldKind.GRPC_MESSAGE],
  ["grpc-encoding", fieldKind.PASSED_OVER],
  ["grpc-accept-encoding", fieldKind.PASSED_OVER],
  ["accept-encoding", fieldKind.PASSED_OVER],
  ["date", fieldKind.PASSED_OVER],
  // Those of one connection have no place in HTTP/2 (RFC 9113, section 8.2.2).
  ["connection", fieldKind.MALFORMED],
  ["keep-alive", fieldKind.MALFORMED],
  ["proxy-connection", fieldKind.MALFORMED],
  ["transfer-encoding", fieldKind.MALFORMED],
  ["upgrade", fieldKind.MALFORMED],
]);

/** Decided once for a field that is in a table. */
export function kindOf(field: HeaderField): number {
  if (field.kind === fieldKind.UNKNOWN) field.kind = decide(field);
  return field.kind;
}

/**
 * Names are lower-case tokens, values have no control characters and no blanks around them (RFC 9113, section 8.2.1).
 */
function decide({ name, value }: HeaderField): number {
  if (name !== ":status" && !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) return fieldKind.MALFORMED;
  if (/[\0\r\n]|^[ \t]|[ \t]$/.test(value)) return fieldKind.MALFORMED;
  return known.get(name) ?? fieldKind.METADATA;
}
