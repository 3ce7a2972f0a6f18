import { setTimeout as sleep } from "node:timers/promises";
import { type EtcdClient, LeaderElection, Mutex, Queue } from "../../recipes/index.ts";
import type { Command, Context } from "../command.ts";
import { parseDuration } from "../duration.ts";
import { exitCode, stoppedBy, UsageError } from "../exit-codes.ts";
import { ownName } from "../hold-options.ts";
import { jsonOf } from "../output.ts";
import { readyWithin } from "../ready-within.ts";
import { Polled } from "../top/polled.ts";
import { readLine } from "../top/read-line.ts";
import { readQueue } from "../top/read-queue.ts";
import { Screen } from "../top/screen.ts";
import type { Section, Snapshot } from "../top/snapshot.ts";
import type { Source } from "../top/source.ts";
import { type LineKind, mostScrolled, type ViewLine, viewOf } from "../top/view.ts";
import { WatchedServices } from "../top/watched-services.ts";

const CTRL_C = "\x03";
/** As a shell counts Ctrl-C, which is a key here and no signal. */
const INTERRUPTED = 130;

const styles = {
  title: "bold",
  stale: ["bold", "red"],
  section: ["bold", "cyan"],
  head: "underline",
  draining: "yellow",
  row: undefined,
  help: "dim",
} as const satisfies Record<LineKind, unknown>;

export const top: Command = {
  name: "top",
  arguments: ["[PREFIX]"],
  summary: "services, leaders, locks and queues, live; each option may be given several times",
  options: {
    services: { type: "string", multiple: true, value: "PREFIX", help: "services registered below it, as PREFIX" },
    election: { type: "string", multiple: true, value: "NAME", help: "who leads, for how long, and who waits" },
    lock: { type: "string", multiple: true, value: "NAME", help: "who has a lock, for how long, and who waits" },
    queue: { type: "string", multiple: true, value: "NAME", help: "the counts of a queue" },
    every: { type: "string", value: "TIME", help: "how often it is read and drawn, 1s by default" },
    watch: { type: "boolean", help: "where it cannot draw: go on, with a snapshot each time" },
  },
  showsOutages: true,
  async run(context) {
    const { options, output, signal, call, etcd } = context;
    const everyMs = parseDuration("--every", (options.every as string | undefined) ?? "1s");
    const sources = sourcesOf(context);
    try {
      const canDraw = process.stdout.isTTY && process.env.TERM !== "dumb" && !output.json;
      if (canDraw) return await draw(context, sources, everyMs);
      void refresh(sources);
      const ready = Promise.all(sources.map((source) => source.ready)).then(() => {});
      await readyWithin(ready, etcd(), call, "top");
      print(context, sources);
      while (options.watch) {
        await sleep(everyMs, undefined, { signal });
        await refresh(sources);
        print(context, sources);
      }
      return undefined;
    } finally {
      await Promise.all(sources.map((source) => source.close()));
    }
  },
};

function sourcesOf({ words: [prefix], options, etcd, timeoutMs }: Context): Source[] {
  const named = (option: string) => (options[option] as readonly string[] | undefined) ?? [];
  const prefixes = [...(prefix === undefined ? [] : [prefix]), ...named("services")];
  const names = [...named("election"), ...named("lock"), ...named("queue")];
  if (prefixes.length + names.length === 0)
    throw new UsageError("name what to show: PREFIX, --services, --election, --lock or --queue");
  const client: EtcdClient = etcd();
  // Made only to check the names: they do nothing until they are used.
  const elections = named("election").map((name) => new LeaderElection(name, ownName(), { client }));
  const locks = named("lock").map((name) => new Mutex(name, { client }));
  const queues = named("queue").map((name) => new Queue(name, { client }));
  return [
    ...prefixes.map((each) => new WatchedServices(each, client)),
    ...elections.map(({ name }) => new Polled(() => readLine(client, "election", name, timeoutMs))),
    ...locks.map(({ name }) => new Polled(() => readLine(client, "lock", name, timeoutMs))),
    ...queues.map(({ name }) => new Polled(() => readQueue(client, name, timeoutMs))),
  ];
}

async function refresh(sources: readonly Source[]): Promise<void> {
  await Promise.all(sources.map((source) => source.refresh()));
}

function snapshotOf(sources: readonly Source[]): Snapshot {
  const sections = sources
    .map((source) => source.read())
    .filter((section): section is Section => section !== undefined);
  const ageMs = Math.round(Math.max(...sources.map((source) => source.ageMs)));
  const problem = sources.find((source) => source.problem !== undefined)?.problem;
  return { sections, ageMs, problem };
}

function whereOf({ etcd }: Context): string {
  return etcd().endpoints.join(", ");
}

/** With `--json` the whole of it on one line. */
function print(context: Context, sources: readonly Source[]): void {
  const { output } = context;
  const snapshot = snapshotOf(sources);
  if (output.json) {
    output.line(jsonOf(snapshot));
    return;
  }
  const size = { columns: process.stdout.columns || 120, rows: Number.POSITIVE_INFINITY };
  for (const { text } of viewOf(snapshot, whereOf(context), size)) output.line(text);
}

/** Until `q` or Ctrl-C. @returns the exit code */
async function draw(context: Context, sources: readonly Source[], everyMs: number): Promise<number> {
  const { output, signal } = context;
  const where = whereOf(context);
  const over = new AbortController();
  let code: number = exitCode.done;
  let scrolled = 0;
  let refused: unknown;
  const end = (by: number) => {
    code = by;
    over.abort();
  };
  const onStop = () => end(stoppedBy(signal));
  signal.addEventListener("abort", onStop);
  for (const { ready } of sources) {
    ready.catch((error) => {
      refused ??= error;
      over.abort();
    });
  }
  using screen = new Screen({
    out: process.stdout,
    keys: process.stdin,
    onKey(key) {
      if (key === "q" || key === CTRL_C) end(key === "q" ? exitCode.done : INTERRUPTED);
      const moved = scrolled + (movesOf(screen.rows)[key] ?? 0);
      scrolled = Math.max(0, Math.min(moved, mostScrolled(snapshotOf(sources), where, sizeOf(screen))));
      show();
    },
    onResize: () => show(),
  });
  const show = () => {
    if (over.signal.aborted) return;
    const size = { ...sizeOf(screen), scrolled };
    screen.draw(viewOf(snapshotOf(sources), where, size).map((line) => styled(line)));
  };
  const styled = ({ kind, text }: ViewLine) => {
    const style = styles[kind];
    return style === undefined ? text : output.style([...[style].flat()], text);
  };
  let isReading = false;
  while (!over.signal.aborted) {
    // A read that hangs holds up neither the keys nor the age that is shown.
    if (!isReading) {
      isReading = true;
      void refresh(sources).then(() => {
        isReading = false;
        show();
      });
    }
    show();
    await sleep(everyMs, undefined, { signal: over.signal }).catch(() => {});
  }
  signal.removeEventListener("abort", onStop);
  if (refused !== undefined) throw refused;
  return code;
}

const sizeOf = ({ columns, rows }: Screen) => ({ columns, rows });

/** Arrows and pages. */
function movesOf(rows: number): Readonly<Record<string, number>> {
  return {
    "\x1b[A": -1,
    "\x1b[B": 1,
    k: -1,
    j: 1,
    "\x1b[5~": -rows,
    "\x1b[6~": rows,
    g: Number.NEGATIVE_INFINITY,
  };
}
