import type { Peer } from "./peer.ts";
import { Etcd3Peer } from "./peer-etcd3.ts";
import { GrpcPeer } from "./peer-grpc.ts";
import { OursPeer } from "./peer-ours.ts";

export const ours = "ours";
export const oursBatching = "ours, autoBatch";
export const etcd3 = "etcd3";

/** All that are compared, each with connections of its own to the same etcd. */
export class Peers implements AsyncDisposable {
  readonly all: readonly Peer[];

  /** @param only the names of those that take part; all if left out */
  constructor(endpoints: readonly string[], only?: readonly string[]) {
    const every: Readonly<Record<string, () => Peer>> = {
      [ours]: () => new OursPeer(ours, { endpoints }),
      [oursBatching]: () => new OursPeer(oursBatching, { endpoints, autoBatch: true }),
      [etcd3]: () => new Etcd3Peer(endpoints),
      "grpc-js": () => new GrpcPeer(endpoints[0] as string),
    };
    this.all = Object.entries(every)
      .filter(([name]) => !only || only.includes(name))
      .map(([, make]) => make());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const peer of this.all) await peer[Symbol.asyncDispose]();
  }
}
