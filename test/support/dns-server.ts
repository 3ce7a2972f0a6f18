import { createSocket, type Socket } from "node:dgram";
import { promises as dns } from "node:dns";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** Response codes (RFC 1035, 4.1.1). */
const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;
const SRV = 33;

/**
 * What a name is answered with: `host:port` of each SRV record, or a failure. A name that has no answer does not exist.
 */
export type DnsAnswer = readonly string[] | "SERVFAIL" | "silence";

/** A DNS server over UDP that answers questions for SRV records by hand (RFC 1035, RFC 2782). */
export class DnsServer implements AsyncDisposable {
  /** By name, in lower case. May be changed at any time. */
  readonly answers = new Map<string, DnsAnswer>();
  /** The names that were asked for, in order. */
  readonly asked: string[] = [];
  readonly #socket: Socket;

  static async start(answers: Readonly<Record<string, DnsAnswer>> = {}): Promise<DnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    return new DnsServer(socket, answers);
  }

  private constructor(socket: Socket, answers: Readonly<Record<string, DnsAnswer>>) {
    this.#socket = socket;
    for (const [name, answer] of Object.entries(answers)) this.answers.set(name, answer);
    socket.on("message", (question, { port, address }) => {
      const reply = this.#reply(question);
      if (reply) socket.send(reply, port, address);
    });
  }

  /** One that asks this server alone. */
  resolver(): dns.Resolver {
    const resolver = new dns.Resolver({ timeout: 200, tries: 2 });
    resolver.setServers([`127.0.0.1:${(this.#socket.address() as AddressInfo).port}`]);
    return resolver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await once(this.#socket, "close");
  }

  #reply(message: Buffer): Buffer | undefined {
    const { name, end } = readName(message, 12);
    this.asked.push(name);
    const answer = this.answers.get(name);
    if (answer === "silence") return undefined;
    const records = typeof answer === "object" ? answer.map(srvRecord) : [];
    const header = Buffer.alloc(12);
    message.copy(header, 0, 0, 2);
    // An answer, with recursion, of one question.
    header.writeUInt16BE(0x8180 | codeOf(answer), 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(records.length, 6);
    return Buffer.concat([header, message.subarray(12, end + 4), ...records]);
  }
}

function codeOf(answer: DnsAnswer | undefined): number {
  if (answer === undefined) return NAME_ERROR;
  return answer === "SERVFAIL" ? SERVER_FAILURE : NO_ERROR;
}

function readName(message: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 };
}

/** A record of the name in question, with a time to live of zero. */
function srvRecord(target: string): Buffer {
  const [host = "", port = "0"] = target.split(":");
  const labels = host.split(".").filter((label) => label !== "");
  const name = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
  const data = Buffer.concat([Buffer.alloc(6), ...name, Buffer.alloc(1)]);
  data.writeUInt16BE(Number(port), 4);
  const head = Buffer.alloc(12);
  // A pointer to the name in the question.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(SRV, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}
