import { EtcdClient, RegistrationGroup, ServiceRegister } from "etcd-recipes";
import { Etcd3Peer } from "./peer-etcd3.ts";

/** Connects, registers one instance for each key, all at once, and keeps them; resolves when all stand in etcd. */
export type Register = (endpoints: readonly string[], keys: readonly string[], ttlSeconds: number) => Promise<Held>;

export interface Held {
  leave(): Promise<unknown>;
}

/** Where they stand. */
export const below = "/bench/leases/";
const address = "10.0.0.1:8080";

/** Each way to register many instances by its name. */
export const registrars: Readonly<Record<string, Register>> = {
  RegistrationGroup: async (endpoints, ids, ttlSeconds) => {
    const client = new EtcdClient({ endpoints });
    const group = new RegistrationGroup(below, ttlSeconds, { client });
    for (const id of ids) group.register(id, address);
    await group.ready;
    return { leave: () => group.close().then(() => client.close()) };
  },
  "ServiceRegister, shared lease": (endpoints, ids, ttlSeconds) => each(endpoints, ids, ttlSeconds, "shared"),
  "ServiceRegister, own leases": (endpoints, ids, ttlSeconds) => each(endpoints, ids, ttlSeconds, "own"),
  etcd3: async (endpoints, ids, ttlSeconds) => {
    const peer = new Etcd3Peer(endpoints);
    const keys = ids.map((id) => below + id);
    const revokeAll = await peer.register(keys, address, ttlSeconds);
    return { leave: () => revokeAll().then(() => peer[Symbol.asyncDispose]()) };
  },
};

async function each(
  endpoints: readonly string[],
  ids: readonly string[],
  ttlSeconds: number,
  lease: "own" | "shared",
): Promise<Held> {
  const client = new EtcdClient({ endpoints });
  const all = ids.map((id) => new ServiceRegister(below + id, address, ttlSeconds, { client, lease }));
  await Promise.all(all.map(({ ready }) => ready));
  return { leave: () => Promise.all(all.map((one) => one.close())).then(() => client.close()) };
}
