import { once } from "node:events";
import { access } from "node:fs/promises";
import { type AddressInfo, createServer, type Server } from "node:net";
import { expect, test } from "vitest";
import { EtcdClient } from "../../recipes/index.ts";
import { Cli } from "../support/cli.ts";
import { until } from "../support/until.ts";

/** Two ports, one after the other, that are free now. */
async function freePorts(): Promise<number> {
  const first = await listen(0);
  const { port } = first.address() as AddressInfo;
  const second = await listen(port + 1).catch(() => undefined);
  await Promise.all([first, second].map((server) => server && once(server.close(), "close")));
  return second ? port : freePorts();
}

async function listen(port: number): Promise<Server> {
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

test("etcd run starts an etcd, says where, and takes it and its data away at the end", async () => {
  const port = await freePorts();
  const cli = new Cli("127.0.0.1:1");
  await using running = cli.start("etcd", "run", "--port", String(port), "--json");
  const { endpoint, pid, version } = JSON.parse(await running.firstLine);
  expect(endpoint).toBe(`http://127.0.0.1:${port}`);
  expect(version).toMatch(/^3\./);
  await using etcd = new EtcdClient({ endpoints: endpoint });
  await etcd.put("a", "1");
  expect(await cli.run("etcd", "run", "--port", String(port))).toMatchObject({
    code: 1,
    err: `etcd-recipes: port ${port} of 127.0.0.1 is in use; --port names another`,
  });
  running.kill("SIGINT");
  expect(await running.ended).toBe(0);
  await until(() =>
    access(`/proc/${pid}`).then(
      () => false,
      () => true,
    ),
  );
}, 60_000);
