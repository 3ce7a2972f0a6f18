import { expect, test } from "vitest";
import { EtcdClient } from "../../../src/index.ts";
import { goaway, settings } from "../../support/http2-frames.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { ScriptedServer } from "../../support/scripted-server.ts";
import { until } from "../../support/until.ts";

test("a connection that ends in the read in which it came up was none: the next one is reported, and its end", async () => {
  await using server = await ScriptedServer.start();
  // A server that is about to leave: its settings and its GOAWAY come in one packet.
  const leaving = 3;
  server.onPeer = (peer) => {
    if (server.peers.length <= leaving) peer.send(settings(), goaway(0));
    else peer.send(settings());
  };
  const { host, port } = server.target;
  await using etcd = new EtcdClient({ endpoints: `http://${host}:${port}` });
  const events: string[] = [];
  etcd.on("connected", () => events.push("connected"));
  etcd.on("disconnected", () => events.push("disconnected"));
  const call = outcomeOf(etcd.get("a"));
  await until(() => server.peers.length > leaving);
  await until(() => events.length > 0);
  expect(events).toEqual(["connected"]);
  server.peers.at(-1)?.socket.destroy();
  await until(() => events.length > 1);
  expect(events.slice(0, 2)).toEqual(["connected", "disconnected"]);
  await etcd.close();
  expect((await call).error).toMatchObject({ code: "ETCD_CLOSED" });
});
