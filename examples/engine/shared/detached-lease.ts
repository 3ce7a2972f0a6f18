import { defaultClient, type Lease, LeaseNotFoundError } from "etcd-recipes";

const retainSeconds = 24 * 3600;
const sharedForMs = 3600 * 1000;

/**
 * The lease of records that etcd may forget after a day: one for all that is written within an hour, because a lease
 * for each record would cost etcd more than the record. It is not renewed, and outlives this process.
 */
export class DetachedLease {
  #lease: Promise<Lease> | undefined;
  #untilMs = 0;

  /** Writes on that lease; on another one if etcd knows it no more, after its data was lost for instance. */
  async use<T>(write: (lease: Lease) => Promise<T>): Promise<T> {
    const lease = this.#current();
    try {
      return await write(await lease);
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
      // Unless another write that was refused has asked for the next one already.
      if (this.#lease === lease) this.#lease = undefined;
      return write(await this.#current());
    }
  }

  #current(): Promise<Lease> {
    if (!this.#lease || performance.now() >= this.#untilMs) {
      const granting = defaultClient().grantLease(retainSeconds, { keepAlive: false });
      // Who asks next tries again.
      granting.catch(() => {
        if (this.#lease === granting) this.#lease = undefined;
      });
      this.#lease = granting;
      this.#untilMs = performance.now() + sharedForMs;
    }
    return this.#lease;
  }
}
