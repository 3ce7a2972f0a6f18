import { existsSync, readFileSync } from "node:fs";
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

/** A member beside those that a cluster was started with. It ends with its scope. */
export interface JoinedMember extends AsyncDisposable {
  readonly endpoint: string;
}

/** Adds a learner to a cluster of one: it follows, and serves neither writes, nor linearizable reads, nor streams. */
export async function startLearner(cluster: EtcdCluster): Promise<JoinedMember> {
  const gateway = new Gateway(cluster.member(0).endpoint);
  const { members } = (await gateway.post("cluster/member/list", {})) as MemberList;
  const known = members.map(({ name = "", peerURLs }) => ({ name, peerUrls: peerURLs }));
  const learner = await joinCluster("learner", known, async (peerUrl) => {
    await gateway.post("cluster/member/add", { peerURLs: [peerUrl], isLearner: true });
  });
  try {
    const status = () => new Gateway(learner.endpoint).post("maintenance/status", {});
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

/**
 * Starts a member that a cluster does not have yet.
 *
 * @param members those that it has
 * @param add says to the cluster that there will be one with this peer URL
 * @param env how it reaches them, see `peerEnvironment()`
 */
export async function joinCluster(
  name: string,
  members: readonly { readonly name: string; readonly peerUrls: readonly string[] }[],
  add: (peerUrl: string) => Promise<void>,
  env: NodeJS.ProcessEnv = {},
): Promise<JoinedMember> {
  const { path } = await findEtcd();
  const folder = await mkdtemp(join(tmpdir(), "etcd-recipes-joined-"));
  const [clientPort, peerPort] = (await takePorts(2)) as [number, number];
  const endpoint = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const peers = [...members, { name, peerUrls: [peerUrl] }];
  const args = [
    ...[`--name=${name}`, `--data-dir=${folder}`, "--initial-cluster-state=existing", "--unsafe-no-fsync"],
    ...[
      `--initial-cluster=${peers.flatMap((peer) => peer.peerUrls.map((url) => `${peer.name}=${url}`)).join()}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--listen-peer-urls=${peerUrl}`,
    ],
    ...[`--listen-client-urls=${endpoint}`, `--advertise-client-urls=${endpoint}`],
  ];
  const free = async () => {
    releasePorts([clientPort, peerPort]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await add(peerUrl);
    const kept = await KeptProcess.start(
      { path, env: { ...cleanEnvironment(process.env), ...env } },
      args,
      join(folder, "log"),
    );
    return {
      endpoint,
      async [Symbol.asyncDispose]() {
        await kept.kill();
        await free();
      },
    };
  } catch (error) {
    await free();
    throw error;
  }
}

/**
 * The way to the peers of a cluster of several goes through the proxy of each member (testing/peer-address.ts): a
 * further member takes that of the first. Undefined where the system does not show the environment of a process.
 */
export function peerEnvironment(cluster: EtcdCluster): NodeJS.ProcessEnv | undefined {
  const file = `/proc/${cluster.member(0).pid}/environ`;
  if (!existsSync(file)) return undefined;
  const proxy = readFileSync(file, "utf8")
    .split("\0")
    .find((entry) => entry.startsWith("HTTP_PROXY="));
  return proxy === undefined ? {} : { HTTP_PROXY: proxy.slice("HTTP_PROXY=".length) };
}
