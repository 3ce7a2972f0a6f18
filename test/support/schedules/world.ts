import { withParts } from "../../../src/client-parts.ts";
import { allKeys, EtcdClient, type KeyRange, type WatchEvent } from "../../../src/index.ts";
import { MemoryEtcd, MemoryProtocol } from "../../../testing/fake-etcd/index.ts";
import type { Seeded } from "../seeded.ts";
import { UnreliableNetwork } from "./unreliable-network.ts";
import { VirtualProcess } from "./virtual-process.ts";
import { VirtualTime } from "./virtual-time.ts";
import { calm, someWeather, type Weather } from "./weather.ts";

const MOST_LINES = 400;

/** One process of a world: a client of its own, on a network of its own. */
export interface Machine {
  readonly name: string;
  readonly process: VirtualProcess;
  readonly network: UnreliableNetwork;
  readonly etcd: EtcdClient;
  /** Of the code that runs there: while the process stands still it waits, too. */
  sleep(ms: number): Promise<void>;
}

export interface StormOptions {
  /** How many faults there are at most. @default 4 */
  readonly most?: number;
  /** How long a machine is cut off or stands still at most. @default 12000 */
  readonly longestMs?: number;
  /** What people do to etcd: in the place of some of the faults. */
  readonly byHand?: readonly (() => void)[];
}

interface Condition {
  readonly holds: () => boolean;
  readonly resolve: () => void;
}

/** An etcd and some processes in virtual time, where everything that is by chance follows from one seed. */
export class World {
  readonly random: Seeded;
  readonly time = new VirtualTime();
  readonly etcd: MemoryEtcd;
  readonly machines: Machine[] = [];
  /** What happened, for people. */
  readonly lines: string[] = [];
  /** What must not happen did. */
  failure: Error | undefined;
  readonly #weather: Weather;
  readonly #conditions = new Set<Condition>();
  readonly #server: VirtualProcess;
  readonly #observers: (() => void)[] = [];
  #ids = 0n;
  #isCalm = false;

  constructor(random: Seeded) {
    this.random = random;
    this.#weather = someWeather(random);
    this.#server = new VirtualProcess(this.time, random.next);
    this.etcd = new MemoryEtcd({
      clock: this.#server.clock,
      fragmentBytes: random.pick([40, 1_000, 1_000_000]),
      leaseLateMs: () => random.next() * 500,
      watchHistoryMs: () => random.next() * 100,
    });
  }

  get nowMs(): number {
    return this.time.nowMs;
  }

  machine(): Machine {
    const { random, time, etcd } = this;
    const name = `machine ${this.machines.length + 1}`;
    const process = new VirtualProcess(time, random.next);
    const network = new UnreliableNetwork(time, process, random);
    network.weather = this.#isCalm ? calm : this.#weather;
    const { clock } = process;
    const runtime = { clock, random: random.next, uniqueNumber: () => ++this.#ids + 0x1000n };
    const endpoints = [{ url: "http://memory:2379", network }];
    const options = withParts(
      { endpoints: "http://memory:2379" },
      { runtime, openProtocol: () => new MemoryProtocol(etcd, { clock, endpoints }) },
    );
    const sleep = (ms: number) =>
      new Promise<void>((resolve) => {
        clock.timer(ms, resolve);
      });
    const machine = { name, process, network, etcd: new EtcdClient(options), sleep };
    this.machines.push(machine);
    return machine;
  }

  /** Calls back with each event, at the moment in which it happens in etcd. */
  observe(range: KeyRange, onEvent: (event: WatchEvent) => void): void {
    const observe = () => {
      const stream = this.etcd.openWatchStream(({ events }) => {
        for (const event of events) this.guard(() => onEvent(event));
      });
      stream.create({ range, startRevision: this.etcd.revision + 1, previous: true, watchId: "0" });
    };
    this.#observers.push(observe);
    observe();
  }

  /** Notes each event, too: for one schedule that is looked at. */
  trace(): void {
    this.observe(allKeys(), ({ type, kv }) => this.note(`    ${type} ${kv.key} ${kv.text} at ${kv.modRevision}`));
  }

  note(what: string): void {
    if (this.lines.length >= MOST_LINES) this.lines.splice(0, MOST_LINES / 2);
    this.lines.push(`${(this.nowMs / 1_000).toFixed(3).padStart(9)} ${what}`);
  }

  fail(why: string): void {
    this.failure ??= new Error(why);
  }

  check(holds: boolean, why: string): void {
    if (!holds) this.fail(why);
  }

  /** For code that others call: what it throws is this world's failure. */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failure ??= error as Error;
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.time.after(ms, resolve);
    });
  }

  /** Resolves when the condition holds; it is looked at after everything that happens. */
  async until(holds: () => boolean, limitMs: number, what: string): Promise<void> {
    if (holds()) return;
    await new Promise<void>((resolve) => {
      const condition = { holds, resolve };
      this.#conditions.add(condition);
      this.time.after(limitMs, () => {
        if (this.#conditions.delete(condition)) this.fail(`not within ${limitMs} ms: ${what}`);
      });
    });
  }

  /** Lets one thing happen. @returns false when nothing is to happen any more */
  step(): boolean {
    for (const condition of this.#conditions) {
      if (!condition.holds()) continue;
      this.#conditions.delete(condition);
      condition.resolve();
      return true;
    }
    let stepped = false;
    this.guard(() => {
      stepped = this.time.step();
    });
    return stepped || this.failure !== undefined;
  }

  /** Faults of machines and of etcd, one after the other, for so long. */
  async storm(ms: number, { most = 4, longestMs = 12_000, byHand = [] }: StormOptions = {}): Promise<void> {
    const { random } = this;
    for (let faults = random.between(0, most); faults > 0; faults--) {
      const fault = byHand.length > 0 && random.chance(0.4) ? random.pick(byHand) : () => this.#fault(longestMs);
      this.time.after(random.next() * ms, () => {
        if (!this.#isCalm) fault();
      });
    }
    await this.sleep(ms);
  }

  /** All data is lost: another history begins. */
  wipe(): void {
    this.note("etcd is wiped");
    this.etcd.restore(1);
    for (const { network } of this.machines) network.breakStreams();
    for (const observe of this.#observers) observe();
  }

  /** Nothing goes wrong from now on. */
  clear(): void {
    this.note("all is calm");
    this.#isCalm = true;
    for (const { network } of this.machines) {
      network.weather = calm;
      network.mend();
    }
  }

  #fault(longestMs: number): void {
    const { random } = this;
    const machine = random.pick(this.machines);
    const ms = random.next() * random.pick([500, 3_000, longestMs]);
    const what = random.between(0, 6);
    if (what <= 1) {
      const how = random.pick(["refused", "silent"] as const);
      this.note(`${machine.name} is cut off for ${ms.toFixed(0)} ms, ${how}`);
      machine.network.cut(ms, how);
    } else if (what === 2) {
      this.note(`${machine.name} stands still for ${ms.toFixed(0)} ms`);
      machine.process.pause(ms);
    } else if (what === 3) {
      this.note("another leader");
      this.etcd.changeLeader();
      for (const { network } of this.machines) network.breakStreams();
    } else if (what === 4) {
      this.note(`${machine.name}'s streams break`);
      machine.network.breakStreams();
    } else if (what === 5) {
      this.note("a compaction");
      if (this.etcd.compactRevision < this.etcd.revision) this.etcd.compact(this.etcd.revision);
    } else {
      this.note("progress");
      this.etcd.reportProgress();
    }
  }
}
