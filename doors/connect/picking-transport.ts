import { InvalidOptionError, type ServiceList } from "../../recipes/index.ts";
import { checkObject, shown } from "../shared/check-object.ts";
import { CANCELED, connectError, DEADLINE_EXCEEDED, isServersFailure, isUnsent, UNAVAILABLE } from "./call-error.ts";
import { MessageStream } from "./message-stream.ts";

const what = "pickingTransport";

/** The longest wait of a timer. */
const LONGEST_MS = 2 ** 31 - 1;

/** Options of `pickingTransport()`. All may be left out. */
export interface PickingTransportOptions {
  /**
   * How many servers are tried at most, at least 1. More than one is tried for unary methods whose `idempotency_level`
   * says that they may be repeated, and for unary calls that were never sent.
   *
   * @default 3
   */
  readonly attempts?: number | undefined;
  /** How long a call waits for a server while there is none, in milliseconds, at least 0. @default 10000 */
  readonly waitMs?: number | undefined;
  /**
   * Whether an error counts against its server. It must not throw.
   *
   * @default the codes Unknown, DeadlineExceeded, Internal, Unavailable and DataLoss, and errors without a code
   */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
}

/**
 * What a transport of connect-es 2 is, in types of our own: its declarations need those of a browser. The arguments are
 * what connect-es hands over, and are handed on.
 */
export interface TransportLike {
  unary(...args: never[]): Promise<unknown>;
  stream(...args: never[]): Promise<unknown>;
}

type Arguments = [
  method: { readonly idempotency: number },
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
  ...others: unknown[],
];

interface StreamResponse {
  readonly message: AsyncIterable<unknown>;
}

/** The same, as it is called here. */
interface Transport {
  unary(...args: Arguments): Promise<unknown>;
  stream(...args: Arguments): Promise<StreamResponse>;
}

type Outcome<Result> = { readonly result: Result } | { readonly error: unknown };

interface Call {
  readonly mayRepeat: boolean;
  readonly isStream: boolean;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/**
 * A transport for connect-es 2 that sends each call to a server of a list.
 *
 * ```ts
 * const transport = pickingTransport(services, (address) =>
 *   createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "2" }),
 * );
 * const client = createClient(OrderService, transport);
 * ```
 *
 * Guaranteed: a call that may not be repeated is sent once. What is in flight, how long it took and what failed is
 * reported to the list. There is one transport for each address, which is dropped after its server has left the list.
 *
 * Not guaranteed: that a stream goes on at another server when its server dies.
 *
 * @param transportTo makes the transport to one server
 * @throws InvalidOptionError that names the argument or option
 */
export function pickingTransport<Made extends TransportLike>(
  services: ServiceList,
  transportTo: (address: string) => Made,
  options: PickingTransportOptions = {},
): Made {
  check(services, transportTo, options);
  const { attempts: most = 3, waitMs = 10_000, isFailure = isServersFailure } = options;
  const transports = new Map<string, Transport>();

  function transportOf(address: string): Transport {
    const known = transports.get(address);
    if (known) return known;
    const listed = new Set(services.list().map((server) => server.address));
    for (const old of transports.keys()) if (!listed.has(old)) transports.delete(old);
    const made = transportTo(address) as unknown as Transport;
    if (typeof made?.unary !== "function") {
      const problem = "must return a Transport, such as createConnectTransport() makes";
      throw new InvalidOptionError(what, "transportTo", `${problem} (npm install @connectrpc/connect-node)`);
    }
    transports.set(address, made);
    return made;
  }

  async function run<Result>(
    { mayRepeat, isStream, signal, timeoutMs }: Call,
    send: (transport: Transport, timeoutMs: number | undefined) => Promise<Result>,
  ): Promise<Result> {
    const controller = new AbortController();
    const startedMs = performance.now();
    // As in connect-es, 0 or less is no limit: it turns off the default of a transport.
    const limitMs = timeoutMs !== undefined && timeoutMs > 0 ? timeoutMs : undefined;
    const leftMs = () => (limitMs === undefined ? undefined : limitMs - (performance.now() - startedMs));
    const timeoutToSend = () => {
      const left = leftMs();
      // connect-es writes it as it is into a header that has digits only.
      return left === undefined ? timeoutMs : Math.max(1, Math.ceil(left));
    };
    const canceled = () => controller.abort(connectError(CANCELED, "canceled", signal?.reason));
    let made = 0;
    let timer: NodeJS.Timeout | undefined;
    const awaitServer = (last?: unknown) => {
      const left = leftMs() ?? waitMs;
      const isDeadline = left < waitMs;
      timer = setTimeout(
        () => {
          const late = () => connectError(DEADLINE_EXCEEDED, "deadline_exceeded", "no server was there in time");
          const none = () => connectError(UNAVAILABLE, "unavailable", whyNone(services));
          controller.abort(last ?? (isDeadline ? late() : none()));
        },
        Math.max(0, Math.min(left, waitMs)),
      );
    };
    if (signal?.aborted) canceled();
    else signal?.addEventListener("abort", canceled, { once: true });
    awaitServer();
    try {
      const outcome = await services.call<Outcome<Result>>(
        async (server) => {
          clearTimeout(timer);
          made++;
          try {
            return { result: await send(transportOf(server.address), timeoutToSend()) };
          } catch (error) {
            const hasFailed = !signal?.aborted && !(error instanceof InvalidOptionError) && isFailure(error);
            if (!hasFailed) return { error };
            const hasTime = (leftMs() ?? 1) > 0 && made < most;
            if (hasTime && !isStream && (mayRepeat || isUnsent(error))) {
              awaitServer(error);
              throw error;
            }
            services.report(server, error);
            controller.abort(error);
            return { error };
          }
        },
        // The attempts have the time that the call has.
        { attempts: most, timeoutMs: Number.POSITIVE_INFINITY, signal: controller.signal },
      );
      if ("error" in outcome) throw outcome.error;
      return outcome.result;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", canceled);
    }
  }

  const picking: Transport = {
    unary(method, signal, timeoutMs, ...others) {
      // NO_SIDE_EFFECTS and IDEMPOTENT of google.protobuf.MethodOptions.
      const call = { mayRepeat: method.idempotency > 0, isStream: false, signal, timeoutMs };
      return run(call, (to, left) => to.unary(method, signal, left, ...others));
    },
    stream(method, signal, timeoutMs, ...others) {
      const call = { mayRepeat: false, isStream: true, signal, timeoutMs };
      return new Promise((resolve, reject) => {
        // Let go of when it is settled: it leads to the messages, and they must be collected when they are not read.
        let caller: { resolve(response: StreamResponse): void; reject(error: unknown): void } | undefined;
        caller = { resolve, reject };
        run(call, async (to, left) => {
          const response = await to.stream(method, signal, left, ...others);
          await untilRead(response, signal, (read) => {
            caller?.resolve(read);
            caller = undefined;
          });
        }).catch((error) => caller?.reject(error));
      });
    },
  };
  return picking as unknown as Made;
}

/**
 * It is in flight until the last message was read, the reader gave it up, or the signal aborted.
 *
 * @param hand gets the response with messages that say when that is
 */
async function untilRead(
  response: StreamResponse,
  signal: AbortSignal | undefined,
  hand: (response: StreamResponse) => void,
): Promise<void> {
  let release = () => {};
  try {
    await new Promise<void>((done, failed) => {
      const aborted = () => done();
      hand({ ...response, message: new MessageStream(response.message, { done, failed }) });
      if (signal?.aborted) aborted();
      signal?.addEventListener("abort", aborted, { once: true });
      release = () => signal?.removeEventListener("abort", aborted);
    });
  } finally {
    release();
  }
}

function whyNone(services: ServiceList): unknown {
  try {
    services.pick();
    return "no server could be called";
  } catch (error) {
    return error;
  }
}

function check(services: unknown, transportTo: unknown, options: PickingTransportOptions): void {
  const refuse = (option: string, problem: string) => {
    throw new InvalidOptionError(what, option, problem);
  };
  if (typeof (services as Partial<ServiceList> | undefined)?.call !== "function") {
    refuse("services", "must be a SubscribeService or a view");
  }
  if (typeof transportTo !== "function") {
    const install = "npm install @connectrpc/connect @connectrpc/connect-node";
    refuse("transportTo", `must be a function that makes a transport for an address (${install})`);
  }
  const given: unknown = options;
  checkObject(what, "options", given);
  const { attempts, waitMs, isFailure, ...others } = options;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) refuse(unknown, "is no option: they are attempts, waitMs and isFailure");
  if (attempts !== undefined && !(Number.isInteger(attempts) && attempts >= 1)) {
    refuse("attempts", `must be a whole number, at least 1, not ${shown(attempts)}`);
  }
  if (waitMs !== undefined && !(typeof waitMs === "number" && waitMs >= 0 && waitMs <= LONGEST_MS)) {
    refuse("waitMs", `must be a number of milliseconds, at least 0 and below 2^31, not ${shown(waitMs)}`);
  }
  if (isFailure !== undefined && typeof isFailure !== "function") refuse("isFailure", "must be a function");
}
