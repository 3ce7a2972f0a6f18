import { experimental } from "@grpc/grpc-js";

const scheme = "etcd-recipes";
const signalOption = "etcd-recipes.dial-signal";
const turnOption = "etcd-recipes.dial-turn";

/** What to give a Channel so that its dials can be ended. */
export interface DialTarget {
  readonly target: string;
  readonly options: { readonly [signalOption]: () => AbortSignal | undefined; readonly [turnOption]: number };
}

let registered = false;

/**
 * grpc-js never gives up a TCP connect or a handshake that it waits for, not even when its channel is closed; and a channel
 * that is closed after a failure is dialled once more, a second later. Against a frozen server, a host that drops packets
 * or one that comes up again, every attempt would leave a socket behind (HARDSHIPS 21). It hands the addresses of a
 * resolver to net.connect as they are, so these carry a signal that ends the socket.
 *
 * @param target what grpc-js dials without this: `dns:host:port`, `ipv4:…` or `ipv6:…`
 * @param turn which of the addresses of a name is dialled first: grpc-js begins with the first one each time, and would
 * come to the same member again
 * @param signal asked for each socket as it is made; when it throws, none is made
 */
export function dialTarget(target: string, turn: number, signal: () => AbortSignal | undefined): DialTarget {
  if (!registered) experimental.registerResolver(scheme, DialResolver);
  registered = true;
  return { target: `${scheme}:${target}`, options: { [signalOption]: signal, [turnOption]: turn } };
}

type ResolverParts = Parameters<typeof experimental.createResolver>;

/** grpc-js's own resolver for the target inside of ours, with a signal on every address, beginning with the one whose turn it is. */
class DialResolver implements experimental.Resolver {
  readonly #inner: experimental.Resolver;

  constructor(target: ResolverParts[0], listener: ResolverParts[1], options: ResolverParts[2]) {
    const withSignal = (address: object) =>
      Object.defineProperty({ ...address }, "signal", { enumerable: true, get: options[signalOption] });
    this.#inner = experimental.createResolver(
      innerTarget(target),
      (answer, ...rest) => {
        if (!answer.ok) return listener(answer, ...rest);
        const value = inTurn(answer.value, options[turnOption]).map(({ addresses }) => ({
          addresses: addresses.map(withSignal) as typeof addresses,
        }));
        return listener({ ok: true, value }, ...rest);
      },
      options,
    );
  }

  updateResolution(): void {
    this.#inner.updateResolution();
  }

  destroy(): void {
    this.#inner.destroy();
  }

  static getDefaultAuthority(target: ResolverParts[0]): string {
    return innerTarget(target).path;
  }
}

function inTurn<T>(items: readonly T[], turn: number): T[] {
  const first = items.length === 0 ? 0 : turn % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

function innerTarget({ path }: ResolverParts[0]): ResolverParts[0] {
  const colon = path.indexOf(":");
  return { scheme: path.slice(0, colon), path: path.slice(colon + 1) };
}
