import { defineConfig, type Plugin } from "vitest/config";
import { LongestFirst } from "./test/support/longest-first.ts";
import { overBuilt, throughSecurity } from "./test/support/over-built.ts";
import { sortTestFiles } from "./test/support/test-files.ts";

/** Programs and crowds: each of these files keeps two cores busy by itself, and would starve what runs beside it. */
const heavy = ["test/examples/**/*.test.ts", "test/src/lease/crowds.test.ts"];

/** What is said of the project itself: these files need no etcd. */
const checkout = ["test/checkout/**/*.test.ts"];

/** What the files themselves say, by what they import and call: new ones find their place without a word here. */
const { logic, mocking, shared, alone } = sortTestFiles(import.meta.dirname);

/** TEST_BUILT=1, where `npm run build` came before: tests import the built package, which is loaded much faster. */
const built = process.env.TEST_BUILT === "1" ? [overBuilt(import.meta.dirname)] : [];

/**
 * Once more, as in production, under mutual TLS, with a user and with autoBatch: what faults do to watches, leases and
 * calls.
 */
const secure = [
  "test/src/{watch,lease}/**/*.test.ts",
  "test/src/connection/{frozen-server,leaderless,shared-connection,unreachable,written-once}.test.ts",
  "test/src/typed/*.test.ts",
  "test/src/kv/{iterate,namespace,paged-range}.test.ts",
];

/** Those of them that are about this side alone: how a reader ends, and how it holds a fast writer up. */
const onlyHere = ["test/src/watch/{ending,slow-reader}.test.ts"];

/**
 * What another release of etcd can do in another way, and why. On 3.4 it found a watch that leaves out a deletion at
 * the revision of a compaction, leases that land late, and tokens that a lagging member goes on making.
 *
 * Not here: what only this side of the connection decides (options, transport, proxies, balancers, views, programs and
 * their ends, the installer, what follows an outage, roles), and recipes that need of etcd what the layer needs: it is
 * the same whatever answers.
 */
const differs = [
  // Watches and compactions: fragments, progress, deletions at a compaction, what an old revision gets.
  "test/src/watch/{another-history,compaction,filters,fragments,lists,random-faults}.test.ts",
  "test/src/watch/{revision-bounds,status,watch-start}.test.ts",
  // Leases: their ids, and who renews and lists them.
  "test/src/lease/{adopt,chosen-ids,grant,kept-alive}.test.ts",
  // What operators do.
  "test/src/admin/{members,permissions}.test.ts",
  // What its own tools save and restore.
  "test/misuse/restored-etcd.test.ts",
  // Ranges, nested transactions, the sentences of errors, tokens.
  "test/src/kv/{guarded-writes,paged-range,same-answers,sorted-range,stm}.test.ts",
  "test/src/connection/{errors,leaderless,protocol-differential}.test.ts",
  "test/src/connection/{token-of-another-history,written-once}.test.ts",
  // Users and tokens.
  "test/src/secure/auth.test.ts",
  // The flags of a server.
  "test/testing/single-member.test.ts",
  // Nested transactions in bulk.
  "test/recipes/queue/dequeue.test.ts",
  "test/recipes/registration-group/many.test.ts",
  // Leases that end or come late, and the deletions that watches hand over.
  "test/recipes/service-register/{conflict,late-writes,wiped-etcd}.test.ts",
  "test/recipes/storage/watch.test.ts",
  "test/recipes/cache-expirer/cleaning.test.ts",
  // Who is first in line, also for etcdctl.
  "test/recipes/candidacy/etcdctl.test.ts",
];

/**
 * A dozen etcds run at a time on two cores or four: with threads for each core they wake each other up for nothing, a
 * fifth of their CPU. One core each is what a small container gives them.
 */
const surroundings = { GOMAXPROCS: "1" };

/** Other etcds, on which what differs is tested as well: `TEST_ALSO_ON=/usr/bin/etcd:/opt/etcd-3.6/etcd`. */
const others = (process.env.TEST_ALSO_ON ?? "").split(":").filter((path) => path !== "");

export default defineConfig({
  test: {
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/tell-seed.ts"],
    // A process of its own for each file that changes or measures it; the others follow each other in a few.
    pool: "forks",
    // Most of what a worker runs, it runs once: V8 optimizes later, for an eighth less CPU in all.
    execArgv: ["--interrupt-budget=1000000"],
    sequence: { sequencer: LongestFirst },
    server: { deps: { external: [/\/build\/tested\//, /\/dist\/esm\//] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      project("checkout", { include: checkout }),
      project("logic", { include: logic, exclude: [...heavy, ...checkout], isolate: false, plugins: built }),
      project("shared", { include: shared, exclude: [...heavy, ...checkout], isolate: false, plugins: built }),
      project("alone", { include: alone, exclude: [...heavy, ...checkout], plugins: built }),
      project("mocking", { include: mocking, exclude: checkout }),
      project("secure", {
        include: secure,
        exclude: [...heavy, ...logic, ...onlyHere],
        setupFiles: ["test/support/secure-etcd.ts"],
        isolate: false,
        plugins: [throughSecurity(import.meta.dirname), ...built],
      }),
      ...others.flatMap((path, index) => {
        const also = { include: differs, env: { ETCD_BIN: path }, plugins: built };
        return [
          project(`also-${index + 1}`, {
            ...also,
            exclude: [...heavy, ...logic, ...mocking, ...alone],
            isolate: false,
          }),
          project(`also-${index + 1}-alone`, { ...also, exclude: [...heavy, ...logic, ...mocking, ...shared] }),
        ];
      }),
      project("heavy", { include: heavy, maxWorkers: 2, order: 1, plugins: built }),
    ],
  },
});

interface Files {
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  readonly setupFiles?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** @default 7, more than there may be cores: most of the tests wait for processes and leases */
  readonly maxWorkers?: number;
  /** False: files can share a process. @default true */
  readonly isolate?: boolean;
  readonly plugins?: readonly Plugin[];
  /** Projects of one order run together, one order after the other. @default 0 */
  readonly order?: number;
}

function project(name: string, { order = 0, maxWorkers = 7, isolate = true, plugins = [], ...files }: Files) {
  const lists = {
    include: [...files.include],
    exclude: [...(files.exclude ?? [])],
    setupFiles: [...(files.setupFiles ?? [])],
  };
  const test = {
    name,
    maxWorkers,
    isolate,
    ...lists,
    env: { ...surroundings, ...files.env },
    sequence: { groupOrder: order },
  };
  return { extends: true as const, plugins: [...plugins], test };
}
