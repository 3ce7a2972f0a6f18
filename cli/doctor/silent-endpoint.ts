import { connect } from "node:net";
import { bad, type Finding } from "./finding.ts";

const LOOK_MS = 1_000;

/** What is known of an endpoint that does not answer, by whether something accepts connections there. */
export async function judgeSilence(endpoint: string, problem: string): Promise<Finding> {
  // The reason of a connection names the endpoint itself.
  const found = problem.startsWith(`${endpoint}: `) ? problem : `${endpoint}: ${problem}`;
  const seen = await look(endpoint);
  if (seen === "accepts") {
    if (/certificate|TLS|SSL/i.test(problem)) return bad("endpoint", found, "see the lines of TLS");
    return bad("endpoint", found, "it accepts connections: the member is frozen, or its disk or CPU is");
  }
  if (seen === "ECONNREFUSED") return bad("endpoint", found, "nothing listens there: is the member up?");
  return bad("endpoint", found, "is it reachable from here? Look at names, routes and firewalls");
}

/** @returns `accepts`, or the code of what went wrong */
function look(endpoint: string): Promise<string> {
  const { protocol, hostname, port, pathname } = new URL(endpoint);
  const place = protocol.startsWith("unix")
    ? { path: pathname }
    : { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 2379) };
  return new Promise((resolve) => {
    const socket = connect(place);
    const done = (seen: string) => {
      socket.destroy();
      resolve(seen);
    };
    socket.setTimeout(LOOK_MS, () => done("ETIMEDOUT"));
    socket.on("connect", () => done("accepts"));
    socket.on("error", (error: NodeJS.ErrnoException) => done(error.code ?? "failed"));
  });
}
