import { expect, test } from "vitest";
import { deleteIfUnchanged, putIfUnchanged } from "../../../recipes/writes/index.ts";
import type { EtcdClient, KeyValue } from "../../../src/index.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

// A wiped etcd counts its revisions from 1 again: a write that is guarded by a revision of before can meet another
// state that has the same one.

/** The key on a lease of its own, as the first write of a history. */
async function made(etcd: EtcdClient): Promise<KeyValue> {
  const lease = await etcd.grantLease(60, { keepAlive: false });
  await etcd.put("k", "v", { lease });
  return (await etcd.get("k")) as KeyValue;
}

const writes = {
  "a deletion": (etcd: EtcdClient, known: KeyValue) => deleteIfUnchanged(etcd, "k", known),
  "a put": (etcd: EtcdClient, known: KeyValue) => putIfUnchanged(etcd, "k", known, { value: "late" }),
};

for (const [name, write] of Object.entries(writes)) {
  test(`${name} guarded by what a lost history had leaves a key of the new one, though their revisions are equal`, async () => {
    await using lab = new VirtualLab("another history");
    const { etcd } = lab.client();
    const known = await made(etcd);
    lab.memory.restore(1);
    const now = await made(etcd);
    expect(now.modRevision).toBe(known.modRevision);
    expect(await write(etcd, known)).toBeUndefined();
    expect((await etcd.get("k"))?.text).toBe("v");
    expect(await write(etcd, now)).toBeGreaterThan(now.modRevision);
  });
}
