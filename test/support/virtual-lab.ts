import { withParts } from "../../src/client-parts.ts";
import { EtcdClient } from "../../src/index.ts";
import { Link, MemoryEtcd, MemoryProtocol } from "../../testing/fake-etcd/index.ts";
import { FakeClock } from "./fake-clock.ts";
import { seeded } from "./seeded.ts";

/** An etcd in memory and clients of it, all by one clock that goes on only when a test advances it. */
export class VirtualLab implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly memory = new MemoryEtcd({ clock: this.clock });
  readonly #seed: string;
  readonly #made: (() => Promise<void>)[] = [];

  /** @param seed so that two tests of one run do not draw the same numbers */
  constructor(seed: string) {
    this.#seed = seed;
  }

  /** A client with a way to etcd of its own. Two have the same random numbers. */
  client(): VirtualClient {
    const link = new Link(this.clock);
    const endpoints = [{ url: "http://memory:2379", network: link }];
    const runtime = { clock: this.clock, random: seeded(this.#seed).next };
    const openProtocol = () => new MemoryProtocol(this.memory, { endpoints });
    const etcd = new EtcdClient(withParts({}, { runtime, openProtocol }));
    this.also(() => etcd.close());
    return { etcd, link };
  }

  /** Registers something to be closed at the end. */
  also(close: () => Promise<void>): void {
    this.#made.push(close);
  }

  /** Milliseconds since the beginning. */
  get nowMs(): number {
    return this.clock.monotonicMs();
  }

  pass(ms: number): Promise<void> {
    return this.clock.pass(ms);
  }

  /** Lets time pass until something has settled. @returns how many milliseconds that took, in steps of `stepMs` */
  async until(settling: Promise<unknown>, { stepMs = 10, limitMs = 3_600_000 } = {}): Promise<number> {
    const startMs = this.nowMs;
    let pending = true;
    const settled = () => {
      pending = false;
    };
    settling.then(settled, settled);
    await this.pass(0);
    while (pending) {
      if (this.nowMs - startMs >= limitMs) throw new Error(`not settled within ${limitMs} ms of virtual time`);
      await this.pass(stepMs);
    }
    return this.nowMs - startMs;
  }

  /** Closes all that was made, the newest first. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#made.splice(0).reverse()) await this.until(close());
  }
}

export interface VirtualClient {
  readonly etcd: EtcdClient;
  readonly link: Link;
}
