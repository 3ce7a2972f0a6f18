import { expect, test } from "vitest";
import * as z from "zod";
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
import { stagesOf } from "../../../recipes/lifecycle/stages.ts";
import { fakeEtcd } from "../../../testing/index.ts";
import { until } from "../../support/until.ts";

test("everything that others find a process by leaves the list first, and drains", async () => {
  await using etcd = await fakeEtcd();
  const client = etcd.client();
  const group = new RegistrationGroup("/all/group/", 5, { client });
  const monitor = new ClusterMonitor("/all/monitor/", { client });
  const joined = new ClusterMonitor("/all/node/", { client });
  const address = "10.0.0.1:80";
  monitor.join("m1", { address });
  const listed = {
    group,
    member: new RegistrationGroup("/all/member/", 5, { client }).register("a", address, { weight: 1 }),
    monitor,
    node: joined.join("n1", { address }),
    register: new ServiceRegister("/all/register/a", address, 5, { client, weight: 1 }),
  };
  group.register("a", address, { weight: 1 });
  const list = new SubscribeService("/all/", { client });
  await list.until((servers) => servers.length === 5);

  const { listed: first, held, followed, clients } = stagesOf([list, client, ...Object.values(listed)]);
  expect(new Set(first)).toEqual(new Set(Object.values(listed)));
  expect([held, followed, clients]).toEqual([[], [list], [client]]);

  // All are in the list as draining before any of them goes.
  const closing = Promise.all(first.map((recipe) => recipe.close({ drainMs: 1_000 })));
  await until(() => list.list().length === 5 && list.list().every(({ draining }) => draining));
  await closing;
  await list.until((servers) => servers.length === 0);
  await Promise.all([list.close(), joined.close()]);
});

test("what a process knows of others is there until the end of what it holds", async () => {
  await using etcd = await fakeEtcd();
  const client = etcd.client();
  const services = new SubscribeService("/svc/", { client });
  const storage = new Storage({ client });
  const typed = client.typed(z.string());
  const followed = [
    services,
    services.view({ zone: "a" }),
    storage,
    storage.watch(
      "/cache/",
      () => {},
      () => {},
    ),
    new CacheExpirer("/caches/", { ttlSeconds: 60, onExpire: () => {}, client }),
    new Cancellation("/runs/", { client }),
    new Confirmation("/asks/", { client }),
    client.mirror("/k"),
    client.watch("/k"),
    typed.mirror("/k"),
    typed.watch("/k"),
  ];
  const own = { close: async () => {} };
  const held = [new LeaderElection("/leader", "m1", { client }), new Mutex("/lock", { client }), own];
  const queue = new Queue("/jobs", { client });
  const stages = stagesOf([...followed, ...held, queue, client]);
  expect(stages).toEqual({ listed: [], held: [...held, queue], followed, clients: [client] });
  for (const stage of [stages.held, stages.followed]) await Promise.all(stage.map((it) => it.close()));
});
