import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/global-setup.ts"],
    // Each file in a process of its own: it starts its own etcd, and what it leaks is its own.
    pool: "forks",
    // More than there may be cores: the tests mostly wait for processes and leases.
    maxWorkers: 4,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
