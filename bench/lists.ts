import { EtcdClient, type ServiceInstance, SubscribeService } from "etcd-recipes";
import { startEtcd } from "etcd-recipes/testing";
import type { Bench, BenchOptions } from "./bench.ts";
import { ChangeWriter } from "./change-writer.ts";
import { inTurn, takenBy } from "./in-turn.ts";
import { below, fill } from "./instances.ts";
import { type Sample, stopwatch } from "./measure.ts";
import type { Report } from "./report.ts";
import { figure, printTable } from "./table.ts";

type Figure = "cpuUs";
type OnChange = (list: readonly ServiceInstance[]) => void;

const sizes = [1_000, 10_000, 100_000];
/** One after the other, as fast as etcd takes them: hardly any shares a batch with the next. */
const changes = { changes: 500, together: 1, everyMs: 0 };
const calls = 2_000;

/** What listens to `change`, besides the `put` listener that all of them have. */
const listeners: Readonly<Record<string, OnChange | undefined>> = {
  none: undefined,
  "does not read": () => {},
  "reads the list": (list) => list.at(-1),
};

export const lists: Bench = {
  title: "what one change costs with a listener of `change`, and a failing call() with three attempts",
  async run({ rounds, report }: BenchOptions) {
    await using cluster = await startEtcd();
    await using writer = new ChangeWriter();
    await using client = new EtcdClient({ endpoints: cluster.endpoints });
    const rows: string[][] = [];
    for (const size of sizes) {
      await fill(client, size);
      await using services = new SubscribeService(below, { client, outlierDetection: false });
      await services.ready;
      const received = Object.entries(listeners).map(([peer, onChange]) => ({
        peer,
        measure: () =>
          changed(services, onChange, () => writer.write({ endpoints: cluster.endpoints, size, ...changes })),
      }));
      const taken = await inTurn<Figure>(received, rounds);
      const [failing] = await inTurn<Figure>([{ peer: "call()", measure: () => failingCalls(services) }], rounds);
      for (const { peer, samples } of [...taken, ...(failing ? [failing] : [])]) {
        report.add("lists", { instances: size, peer }, samples);
      }
      const beyond = (peer: string) => takenBy(taken, peer).middle("cpuUs") - takenBy(taken, "none").middle("cpuUs");
      const callUs = failing?.middle("cpuUs") ?? Number.NaN;
      if (size === sizes.at(-1)) judge(report, size, beyond("does not read"), callUs);
      const all = taken.map((each) => figure(each.middle("cpuUs")));
      rows.push([
        figure(size),
        ...all,
        figure(beyond("does not read")),
        figure(beyond("reads the list")),
        figure(callUs),
      ]);
    }
    console.log(`CPU in µs; median of ${rounds} rounds\n`);
    printTable(
      [
        "instances",
        "one change",
        "and a change listener that does not read",
        "that reads",
        "not reading costs",
        "reading costs",
        "a failing call(), 3 attempts",
      ],
      rows,
    );
  },
};

function judge(report: Report, size: number, unreadUs: number, callUs: number): void {
  const of = `of ${figure(size)}`;
  report.target("lists", `a change ${of}, for a listener that does not read`, "µs", unreadUs, { atMost: 50 });
  report.target("lists", `a failing call() with three attempts ${of}`, "µs", callUs, { atMost: 200 });
}

async function changed(
  services: SubscribeService,
  onChange: OnChange | undefined,
  write: () => Promise<void>,
): Promise<Sample<Figure>> {
  if (onChange) services.on("change", onChange);
  const received = putsOf(services, changes.changes);
  const read = stopwatch();
  await write();
  await received;
  const { cpuMs } = read();
  if (onChange) services.off("change", onChange);
  return { cpuUs: (cpuMs * 1e3) / changes.changes };
}

function putsOf(services: SubscribeService, count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    const onPut = () => {
      if (--left > 0) return;
      services.off("put", onPut);
      resolve();
    };
    services.on("put", onPut);
  });
}

async function failingCalls(services: SubscribeService): Promise<Sample<Figure>> {
  const failure = new Error("it fails");
  const fails = () => Promise.reject(failure);
  const read = stopwatch();
  for (let call = 0; call < calls; call++) await services.call(fails, { attempts: 3 }).catch(() => {});
  return { cpuUs: (read().cpuMs * 1e3) / calls };
}
