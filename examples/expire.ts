/**
 * Build caches that expire four seconds after their last use: one is used now and then, the other is forgotten.
 *
 *     ETCD_ENDPOINTS=http://127.0.0.1:2379 node build/examples/expire.js
 */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CacheExpirer } from "etcd-recipes";

const dir = await mkdtemp(join(tmpdir(), "caches-"));

const caches = new CacheExpirer("builds/", {
  ttlSeconds: 4, // seven days in production
  onExpire: async (id, reason) => {
    if (!/^[\w-]+$/.test(id)) return; // a key is whatever somebody wrote: "../.." is no cache of ours
    await rm(join(dir, id), { recursive: true, force: true });
    console.log(`cleaned ${id}: ${reason}`);
  },
  known: () => readdir(dir), // what expired while no process ran is found at the next start
});

for (const id of ["used", "forgotten"]) {
  await caches.track(id); // before the files are written
  await mkdir(join(dir, id));
}
for (let hit = 0; hit < 14; hit++) {
  await sleep(400);
  if (!(await caches.touch("used"))) console.log("gone: it would be built again");
}
console.log(`left: ${(await readdir(dir)).join()}`);
await caches.evict("used");
while ((await readdir(dir)).length > 0) await sleep(20);
await caches.close();
await rm(dir, { recursive: true });
