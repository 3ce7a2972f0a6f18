import { InvalidOptionError } from "../errors/invalid-option-error.ts";
import { kindOf, quoted, shown, shownUrl } from "../errors/shown.ts";
import { isWellFormed, notWellFormed } from "../errors/well-formed.ts";

/**
 * A name is a key of etcd's database (bbolt: MaxKeySize). Of a longer one each member panics, and again whenever it
 * starts, for the change stands in its log.
 */
const LONGEST_NAME_BYTES = 32_768;

/** @throws InvalidOptionError for what is no name: etcd takes an empty one for a caller without a user */
export function checkName(what: string, option: string, name: string): void {
  if (typeof name !== "string" || name === "") {
    throw new InvalidOptionError(what, option, `must be a name, not ${shown(name)}`);
  }
  if (!isWellFormed(name)) throw new InvalidOptionError(what, option, notWellFormed);
  const bytes = Buffer.byteLength(name);
  if (bytes <= LONGEST_NAME_BYTES) return;
  const limit = `must have at most ${LONGEST_NAME_BYTES} bytes, or etcd ends at once`;
  throw new InvalidOptionError(what, option, `${limit}, and has ${bytes}: ${quoted(name)}`);
}

/** @throws InvalidOptionError, which does not show it */
export function checkPassword(what: string, password: string): void {
  if (typeof password === "string" && password !== "") {
    if (isWellFormed(password)) return;
    throw new InvalidOptionError(what, "password", notWellFormed);
  }
  const given = password === "" ? "an empty text" : kindOf(password);
  throw new InvalidOptionError(what, "password", `must be a text, not ${given}`);
}

/** @throws InvalidOptionError for what is no id of a member as `etcdctl member list` prints it */
export function checkMemberId(what: string, option: string, id: string): void {
  if (isMemberId(id)) return;
  throw new InvalidOptionError(what, option, `must be a member's id in lower-case hex, not ${shown(id)}`);
}

export function isMemberId(id: unknown): id is string {
  return typeof id === "string" && /^[1-9a-f][0-9a-f]{0,15}$/.test(id);
}

/** @throws InvalidOptionError for what is no list of URLs such as http://10.0.0.4:2380 */
export function toPeerUrls(what: string, given: string | readonly string[]): readonly string[] {
  const urls = typeof given === "string" ? [given] : given;
  const problem = "must be a URL such as http://10.0.0.4:2380, or a list of such";
  if (!Array.isArray(urls)) throw new InvalidOptionError(what, "peerUrls", `${problem}, not ${shownUrl(given)}`);
  if (urls.length === 0) throw new InvalidOptionError(what, "peerUrls", `${problem}, and not empty`);
  for (const url of urls)
    if (!isPeerUrl(url)) throw new InvalidOptionError(what, "peerUrls", `${problem}, not ${shownUrl(url)}`);
  return urls;
}

/** As etcd has it: a scheme, a host and a port, and nothing behind. What is encoded may be a password. */
const peerUrl = /^https?:\/\/([^/?#@\s:%]+|\[[\da-f:.]+(%\w+)?\]):\d{1,5}$/i;

function isPeerUrl(url: unknown): url is string {
  return typeof url === "string" && peerUrl.test(url);
}
