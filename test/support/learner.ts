import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "../../testing/clean-environment.ts";
import { releasePorts, takePorts } from "../../testing/free-ports.ts";
import { type EtcdCluster, findEtcd } from "../../testing/index.ts";
import { Gateway } from "./gateway/index.ts";
import { KeptProcess } from "./kept-process.ts";
import { until } from "./until.ts";

interface MemberList {
  readonly members: readonly { readonly name?: string; readonly peerURLs: readonly string[] }[];
}

/** Adds a learner to a cluster of one: it follows, and serves neither writes, nor linearizable reads, nor streams. */
export async function startLearner(cluster: EtcdCluster): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const { path } = await findEtcd();
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-learner-"));
  const [clientPort, peerPort] = (await takePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const gateway = new Gateway(cluster.member(0).endpoint);
  const added = await gateway.post("cluster/member/add", { peerURLs: [peerUrl], isLearner: true });
  const { members } = added as MemberList;
  const peers = members.flatMap(({ name, peerURLs }) => peerURLs.map((url) => `${name || "learner"}=${url}`));
  const args = [
    ...["--name=learner", `--data-dir=${folder}`, "--initial-cluster-state=existing", "--unsafe-no-fsync"],
    ...[
      `--initial-cluster=${peers.join()}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--listen-peer-urls=${peerUrl}`,
    ],
    ...[`--listen-client-urls=${endpoint}`, `--advertise-client-urls=${endpoint}`],
  ];
  const program = { path, env: cleanEnvironment(process.env) };
  const kept = await KeptProcess.start(program, args, join(folder, "log"));
  const learner = {
    endpoint,
    async [Symbol.asyncDispose]() {
      await kept.kill();
      releasePorts([clientPort, peerPort]);
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    const status = () => new Gateway(endpoint).post("maintenance/status", {});
    await until(async () => ((await status()) as { isLearner?: boolean }).isLearner, {
      message: "the learner follows",
      timeoutMs: 20_000,
    });
  } catch (error) {
    await learner[Symbol.asyncDispose]();
    throw error;
  }
  return learner;
}
