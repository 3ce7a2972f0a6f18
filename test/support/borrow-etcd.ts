import { randomUUID } from "node:crypto";
import { startEtcd } from "../../testing/index.ts";
import { deletePrefix } from "./gateway/index.ts";

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
  return { endpoints: foreign, prefix, [Symbol.asyncDispose]: () => deletePrefix(foreign[0] ?? "", prefix) };
}
