import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CacheExpirer,
  Cancellation,
  ClusterMonitor,
  Confirmation,
  LeaderElection,
  Mutex,
  Queue,
  RegistrationGroup,
  ServiceRegister,
  Storage,
  SubscribeService,
} from "../../../recipes/index.ts";
import { type FakeEtcd, fakeEtcd } from "../../../testing/index.ts";

type Options = Readonly<Record<string, unknown>>;

let etcd: FakeEtcd;

beforeAll(async () => {
  etcd = await fakeEtcd({ time: "manual" });
});
afterAll(() => etcd?.close());

const client = () => etcd.client();
const expiring = { ttlSeconds: 5, onExpire: () => {} };

/** What takes options, by its name. */
const takers: Readonly<Record<string, (options: Options) => unknown>> = {
  CacheExpirer: (options) => new CacheExpirer("/a/", { client: client(), ...expiring, ...options }),
  Cancellation: (options) => new Cancellation("/a/", { client: client(), ...options }),
  ClusterMonitor: (options) => new ClusterMonitor("/a/", { client: client(), ...options }),
  Confirmation: (options) => new Confirmation("/a/", { client: client(), ...options }),
  LeaderElection: (options) => new LeaderElection("/a", "me", { client: client(), ...options }),
  Mutex: (options) => new Mutex("/a", { client: client(), ...options }),
  Queue: (options) => new Queue("/a", { client: client(), ...options }),
  RegistrationGroup: (options) => new RegistrationGroup("/a/", 5, { client: client(), ...options }),
  "RegistrationGroup.register": (options) =>
    new RegistrationGroup("/a/", 5, { client: client() }).register("b", "10.0.0.1:80", options),
  ServiceRegister: (options) => new ServiceRegister("/a/b", "10.0.0.1:80", 5, { client: client(), ...options }),
  Storage: (options) => new Storage({ client: client(), ...options }),
  "Storage.watch": (options) =>
    new Storage({ client: client() }).watch(
      "/a/",
      () => {},
      () => {},
      options,
    ),
  SubscribeService: (options) => new SubscribeService("/a/", { client: client(), ...options }),
  "SubscribeService.view": (options) => new SubscribeService("/a/", { client: client() }).view({}, options),
  outlierDetection: (options) => new SubscribeService("/a/", { client: client(), outlierDetection: options }),
};

function errorOf(call: () => unknown): { readonly message?: string; readonly option?: string; readonly code?: string } {
  try {
    call();
  } catch (error) {
    return error as Error;
  }
  return {};
}

/** The names that it says it knows: so no option can be forgotten here. */
function namesOf(take: (options: Options) => unknown): string[] {
  // Too long for a name that could be meant.
  const { message = "" } = errorOf(() => take({ ["x".repeat(101)]: 1 }));
  return / known are (.*)$/.exec(message)?.[1]?.split(", ") ?? [];
}

test.each(Object.entries(takers))(
  "null is refused for each option of %s, as any other value that is none",
  (_, take) => {
    const names = namesOf(take);
    expect(names.length).toBeGreaterThan(0);
    const refused = names.filter((name) => {
      const { code, option = "" } = errorOf(() => take({ [name]: null }));
      return code === "ETCD_INVALID_OPTION" && option.split(".").at(-1) === name;
    });
    expect(refused).toEqual(names);
  },
);

test.each(Object.entries(takers))("an option of %s that is undefined counts as left out", (_, take) => {
  const names = namesOf(take).filter((name) => !(name in expiring));
  expect(errorOf(() => take(Object.fromEntries(names.map((name) => [name, undefined]))))).toEqual({});
});
