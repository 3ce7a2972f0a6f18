import recipes = require("etcd-recipes");
import layer = require("etcd-recipes/client");
import testing = require("etcd-recipes/testing");

async function main(): Promise<void> {
  const cluster = await testing.startEtcd();
  const client: layer.EtcdClient = new recipes.EtcdClient({ endpoints: cluster.endpoints });
  try {
    const server = new recipes.ServiceRegister("/consumer/services/1", "10.0.0.1:8080", 5, { client });
    server.on("registered", () => console.log("registered"));
    await server.ready;
    const key = await client.get("/consumer/services/1");
    if (key?.text !== "10.0.0.1:8080") throw new Error(`got ${key?.text}`);
    await server.close();
  } finally {
    await client.close();
    await cluster.close();
  }
  console.log("done");
}

void main();
