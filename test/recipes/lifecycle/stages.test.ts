import { expect, test } from "vitest";
import { ClusterMonitor, RegistrationGroup, ServiceRegister, SubscribeService } from "../../../recipes/index.ts";
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
