import type { Metadata } from "../../grpc/index.ts";
import type { Token } from "./authenticator.ts";

interface Fields {
  readonly ofMember: Metadata | undefined;
  readonly ofCluster: Metadata;
}

const hasLeader = ["hasleader", "true"] as const;
const withoutToken: Fields = { ofMember: undefined, ofCluster: [hasLeader] };
/** The same arrays each time: their header block is made once. */
const withToken = new WeakMap<Token, Fields>();

/**
 * With `hasleader` a leaderless member answers at once instead of after 7 s.
 *
 * @param ofMember the question is about the member itself, which answers it without a leader, too
 */
export function callMetadata(token: Token | undefined, ofMember = false): Metadata | undefined {
  const fields = fieldsOf(token);
  return ofMember ? fields.ofMember : fields.ofCluster;
}

function fieldsOf(token: Token | undefined): Fields {
  if (token?.value === undefined) return withoutToken;
  let fields = withToken.get(token);
  if (!fields) {
    const field = ["token", token.value] as const;
    fields = { ofMember: [field], ofCluster: [hasLeader, field] };
    withToken.set(token, fields);
  }
  return fields;
}
