import { randomUUID } from "node:crypto";
import { startEtcd } from "../../testing/index.ts";

/** An etcd for a test that breaks nothing, and a corner of it that is the test's own. */
export interface BorrowedEtcd extends AsyncDisposable {
  readonly endpoints: readonly string[];
  /** Ends with "/". Everything under it is deleted at the end. */
  readonly prefix: string;
}

/**
 * The cluster that `ETCD_TEST_ENDPOINTS` names (comma-separated), else one of its own. Tests that inject faults use
 * `startEtcd`: a foreign cluster is never broken.
 */
export async function borrowEtcd(): Promise<BorrowedEtcd> {
  const prefix = `etcd-recipes-test-${randomUUID()}/`;
  const foreign = process.env.ETCD_TEST_ENDPOINTS?.split(",").map((endpoint) => endpoint.trim());
  if (foreign === undefined) {
    const cluster = await startEtcd();
    return { endpoints: cluster.endpoints, prefix, [Symbol.asyncDispose]: () => cluster.close() };
  }
  return { endpoints: foreign, prefix, [Symbol.asyncDispose]: () => deletePrefix(foreign, prefix) };
}

async function deletePrefix([endpoint]: readonly string[], prefix: string): Promise<void> {
  // The end of a prefix's range: its last byte, "/", plus one.
  const rangeEnd = `${prefix.slice(0, -1)}0`;
  const response = await fetch(`${endpoint}/v3/kv/deleterange`, {
    method: "POST",
    body: JSON.stringify({ key: btoa(prefix), range_end: btoa(rangeEnd) }),
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`${prefix} could not be deleted: ${response.status} ${await response.text()}`);
}
