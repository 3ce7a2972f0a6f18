/**
 * Follows the keys under cache/, and cleans up what expires: one key lives for two seconds, the other is deleted.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/storage.js
 */
import { once } from "node:events";
import { Storage } from "etcd-recipes";
import { printable } from "./printable.ts";

const storage = new Storage();
storage.on("warning", (error) => console.log(`mended: ${error.message}`));

const cleaned = new EventTarget();
const watching = storage.watch(
  "cache/",
  (id, value) => console.log(printable(`+ ${id}: ${value}`)),
  async (id, last) => {
    console.log(printable(`- ${id}, cleaning ${last}`)); // a real one removes files here; when it throws it is called again
    cleaned.dispatchEvent(new Event(id));
  },
);
await watching.ready;

const both = Promise.all([once(cleaned, "proj-1"), once(cleaned, "proj-2")]);
await storage.put("cache/proj-1", "/data/proj-1", { ttlSeconds: 2 });
await storage.put("cache/proj-2", "/data/proj-2", { ttlSeconds: 7 * 24 * 3600 });
await storage.delete("cache/proj-2");
await both;
await storage.close();
