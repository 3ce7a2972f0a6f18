import { defineConfig } from "vitest/config";

/** Programs and crowds: each of these files keeps two cores busy by itself, and would starve what runs beside it. */
const heavy = ["test/examples/**/*.test.ts", "test/src/lease/crowds.test.ts"];

/** What is said of the project itself: these files need no etcd. */
const house = ["test/house/**/*.test.ts"];

/** Once more, as in production, under mutual TLS, with a user and with autoBatch: what faults do to watches, leases and calls. */
const secure = [
  "test/src/{watch,lease}/**/*.test.ts",
  "test/src/connection/{frozen-server,leaderless,shared-connection,unreachable,written-once}.test.ts",
  "test/src/kv/paged-range.test.ts",
];

/** Those in the same folders that need no etcd: nothing is said of them twice. */
const withoutEtcd = [
  "test/src/lease/lease-*.test.ts",
  "test/src/watch/{event-evidence,history-proof,kept-values,mirror-backoff,mirror-batch,watch-history,watch-hub}.test.ts",
];

export default defineConfig({
  test: {
    globalSetup: ["test/support/global-setup.ts"],
    setupFiles: ["test/support/tell-seed.ts"],
    // Each file in a process of its own: it starts its own etcd, and what it leaks is its own.
    pool: "forks",
    testTimeout: 60_000,
    hookTimeout: 60_000,
    dangerouslyIgnoreUnhandledErrors: false,
    // More workers than there may be cores: the tests mostly wait for processes and leases.
    projects: [
      project("house", { include: house, maxWorkers: 4, order: 0 }),
      project("library", { include: ["test/**/*.test.ts"], exclude: [...heavy, ...house], maxWorkers: 4, order: 0 }),
      project("secure", {
        include: secure,
        exclude: [...heavy, ...withoutEtcd],
        setupFiles: ["test/support/secure-etcd.ts"],
        maxWorkers: 4,
        order: 2,
      }),
      project("heavy", { include: heavy, maxWorkers: 2, order: 1 }),
    ],
  },
});

interface Files {
  readonly include: string[];
  readonly exclude?: string[];
  readonly setupFiles?: string[];
  readonly maxWorkers: number;
  /** Projects of one order run together, one order after the other. */
  readonly order: number;
}

function project(name: string, { order, ...files }: Files) {
  return { extends: true as const, test: { name, ...files, sequence: { groupOrder: order } } };
}
