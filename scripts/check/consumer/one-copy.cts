import byRequire = require("etcd-recipes");
import layerByRequire = require("etcd-recipes/client");

// One process, one copy: what one half of a program sets up, the other half uses.
async function main(): Promise<void> {
  const byImport = await import("etcd-recipes");
  const layerByImport = await import("etcd-recipes/client");
  const clients = [byRequire, layerByRequire, byImport, layerByImport].map(({ defaultClient }) => defaultClient());
  if (new Set(clients).size !== 1) throw new Error("import and require lead to different copies");
  await clients[0]?.close();
  console.log("done");
}

void main();
