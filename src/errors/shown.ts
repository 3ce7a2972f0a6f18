const LONGEST_TEXT = 60;

/**
 * A value that should have been another, for a message: text in quotes, so that "5" is not taken for 5, a URL without
 * what may be a secret, and of an object no more than what it is, as it may hold what no log may.
 */
export function shown(value: unknown): string {
  switch (typeof value) {
    case "string":
      return mayBeUrl(value) ? shownUrl(value) : quoted(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return "a symbol";
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : withArticle(className(value));
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

/** As `shown()` does, where a URL is expected, or what a URL may be given for: of a text no more than a URL may show. */
export function shownUrl(value: unknown): string {
  return typeof value === "string" ? quoted(withoutSecrets(value)) : shown(value);
}

/** A text that is no URL, such as the name of a user or a path: whole, but for its length. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}...` : text);
}

/** What kind of value it is, and nothing of the value: for what may be a secret. */
export function kindOf(value: unknown): string {
  const shows = value === undefined || (typeof value === "object" && !Array.isArray(value));
  return shows ? shown(value) : withArticle(Array.isArray(value) ? "array" : typeof value);
}

/** Also without a scheme, as endpoints may be: `user:password@host`, `host:2379?token`. No path, and no key of etcd. */
function mayBeUrl(text: string): boolean {
  if (text.startsWith("/")) return text.startsWith("//") && text.includes("@");
  return text.includes("://") || (text.includes(":") && text.includes("@")) || /:\d+\/?[?#]/.test(text);
}

/**
 * What is no URL has no parts: all before the last `@` may be a password. Behind a colon, a password may stand whose
 * host was forgotten.
 */
function withoutSecrets(url: string): string {
  const [scheme = ""] = /^([a-z][a-z0-9+.-]*:)?\/\//i.exec(url) ?? [];
  const rest = url.slice(scheme.length);
  const host = rest.replace(/^.*@/s, "").replace(/[?#].*/s, "");
  return hostAndPath.test(host) ? scheme + host : `${scheme}...`;
}

/** And a port, also one that is too large: nothing that is encoded, no second URL, one line. */
const hostAndPath = /^(?!.*:\/\/)([^:/%\r\n]*|\[[\da-f:.]+(%\w+)?\])(:\d{1,5})?(\/.*)?$/i;

/** What cannot be read, such as a revoked Proxy, is an object all the same. */
function className(value: object): string {
  try {
    const name: unknown = Array.isArray(value) ? "array" : Object.getPrototypeOf(value)?.constructor?.name;
    return typeof name === "string" && /^\w{1,40}$/.test(name) && name !== "Object" ? name : "object";
  } catch {
    return "object";
  }
}

function withArticle(name: string): string {
  return `${/^[aeiou]/i.test(name) ? "an" : "a"} ${name}`;
}
