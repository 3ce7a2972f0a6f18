import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { outcomeOfRun } from "../support/child.ts";

// The rules are biome.json's; here they are shown to bite. The files are linted in a folder of their own, under a copy
// of biome.json and at the paths that they would have in the checkout, so that no other run of the linter ever sees
// them.

const checkout = fileURLToPath(new URL("../..", import.meta.url));

/** For each room what its files may import, and what must be red with the room's own message. */
const rooms = [
  {
    file: "src/probe.ts",
    message: "Border: the root of src",
    good: ["zod/mini", "./other.ts", "./connection/index.ts", "./model/bytes.ts", "./watch/index.ts"],
    bad: ["etcd3", "@grpc/grpc-js", "./connection/protocol.ts", "./kv/kv.ts", "../recipes/index.ts", "node:net"],
  },
  {
    file: "src/errors/probe.ts",
    message: "Border: src/errors",
    good: ["./etcd-error.ts"],
    bad: ["../model/index.ts", "../internal/log.ts", "node:util", "zod", "@grpc/grpc-js"],
  },
  {
    file: "src/model/probe.ts",
    message: "Border: src/model",
    good: ["./bytes.ts", "../errors/invalid-option-error.ts"],
    bad: ["../internal/clock.ts", "../connection/index.ts", "node:fs", "zod", "etcd3/lib/rpc.js"],
  },
  {
    file: "src/typed/probe.ts",
    message: "Border: src/typed",
    good: ["./any-json.ts", "../kv/index.ts", "../watch/index.ts", "../internal/as-error.ts", "../model/bytes.ts"],
    bad: ["../kv/kv.ts", "../connection/index.ts", "../lease/index.ts", "../client.ts", "node:fs", "zod"],
  },
  {
    file: "src/internal/probe.ts",
    message: "Border: src/internal",
    good: [
      "./clock.ts",
      "../errors/index.ts",
      "zod/mini",
      "cockatiel",
      "debug/src/common.js",
      "node:events",
      "node:timers/promises",
    ],
    bad: ["../model/index.ts", "../connection/index.ts", "@grpc/grpc-js", "etcd3"],
  },
  {
    file: "src/grpc/probe.ts",
    message: "Border: src/grpc",
    good: ["./connect.ts", "./hpack/huffman.ts", "./http2/protocol.ts", "../internal/clock.ts", "node:net", "node:tls"],
    bad: ["../errors/etcd-error.ts", "../model/op.ts", "../connection/index.ts", "@grpc/grpc-js", "etcd3", "zod"],
  },
  {
    file: "src/grpc/hpack/probe.ts",
    message: "Border: src/grpc/hpack",
    good: ["./huffman.ts"],
    bad: ["../connect.ts", "../http2/protocol.ts", "../../internal/clock.ts", "node:net", "zod"],
  },
  {
    file: "src/grpc/http2/probe.ts",
    message: "Border: src/grpc/http2",
    good: ["./protocol.ts", "../../internal/real-time.ts"],
    bad: ["../connect.ts", "../hpack/huffman.ts", "../../model/op.ts", "node:net", "zod"],
  },
  {
    file: "src/connection/probe.ts",
    message: "Border: src/connection",
    good: [
      "./codec/codec.ts",
      "../grpc/index.ts",
      "../model/op.ts",
      "../internal/log.ts",
      "etcd3/lib/rpc.js",
      "node:path",
    ],
    bad: ["etcd3", "etcd3/lib/lease.js", "../grpc/connect.ts", "../kv/index.ts", "../client.ts", "zod"],
  },
  {
    file: "src/connection/auth/probe.ts",
    message: "Border: src/connection/auth",
    good: ["./authenticator.ts", "../endpoints/endpoint.ts", "../../grpc/index.ts", "../../internal/log.ts"],
    bad: ["../connection.ts", "../codec/codec.ts", "../../grpc/connect.ts", "etcd3/lib/rpc.js", "zod"],
  },
  {
    file: "src/connection/codec/probe.ts",
    message: "Border: src/connection/codec",
    good: ["./codec.ts", "../../model/op.ts", "../../errors/protocol-error.ts", "etcd3/lib/rpc.js"],
    bad: ["../connection.ts", "../endpoints/endpoint.ts", "../../grpc/index.ts", "../../internal/clock.ts", "etcd3"],
  },
  {
    file: "src/connection/endpoints/probe.ts",
    message: "Border: src/connection/endpoints",
    good: ["./endpoint.ts", "../tls/tls-error.ts", "../../grpc/index.ts", "../../internal/clock.ts", "node:net"],
    bad: [
      "../connection.ts",
      "../auth/authenticator.ts",
      "../codec/codec.ts",
      "../../grpc/connect.ts",
      "etcd3/lib/rpc.js",
    ],
  },
  {
    file: "src/connection/errors/probe.ts",
    message: "Border: src/connection/errors",
    good: ["./grpc-answer.ts", "../../grpc/index.ts", "../../errors/etcd-error.ts"],
    bad: ["../connection.ts", "../endpoints/endpoint.ts", "../../internal/clock.ts", "node:net", "etcd3"],
  },
  {
    file: "src/connection/tls/probe.ts",
    message: "Border: src/connection/tls",
    good: ["./tls-error.ts", "../../errors/invalid-option-error.ts", "node:tls"],
    bad: ["../connection.ts", "../endpoints/endpoint.ts", "../../grpc/index.ts", "etcd3"],
  },
  {
    file: "src/admin/probe.ts",
    message: "Border: src/admin",
    good: ["./auth.ts", "../connection/index.ts", "../model/key-range.ts", "node:crypto", "node:fs/promises"],
    bad: ["etcd3", "../connection/codec/messages.ts", "../kv/index.ts", "../client.ts", "node:net", "zod"],
  },
  {
    file: "src/kv/probe.ts",
    message: "Border: src/kv",
    good: ["./kv.ts", "../connection/index.ts", "../model/op.ts", "../errors/compacted-error.ts"],
    bad: [
      "etcd3",
      "@grpc/grpc-js",
      "../connection/codec/codec.ts",
      "../watch/index.ts",
      "./../lease/index.ts",
      "node:net",
    ],
  },
  {
    file: "src/lease/probe.ts",
    message: "Border: src/lease",
    good: ["./lease.ts", "../connection/index.ts", "../internal/clock.ts"],
    bad: ["etcd3", "@grpc/grpc-js", "../connection/connection.ts", "../kv/index.ts", "../client.ts"],
  },
  {
    file: "src/watch/probe.ts",
    message: "Border: src/watch",
    good: ["./watch.ts", "../connection/index.ts", "../kv/index.ts"],
    bad: ["etcd3", "@grpc/grpc-js", "../kv/kv.ts", "../lease/index.ts", "../errors/../client.ts"],
  },
  {
    file: "recipes/probe.ts",
    message: "Border: the door of recipes",
    good: ["../src/index.ts", "./mutex/index.ts"],
    bad: ["../src/internal/index.ts", "./mutex/mutex.ts", "etcd3", "zod"],
  },
  {
    file: "recipes/mutex/probe.ts",
    message: "Border: a recipe",
    good: [
      "./lock.ts",
      "../queue/index.ts",
      "../candidacy/internal.ts",
      "../../src/index.ts",
      "../../src/internal/index.ts",
      "zod/mini",
      "node:events",
    ],
    bad: ["../queue/job.ts", "../index.ts", "../../src/client.ts", "../../src/kv/index.ts", "etcd3", "@grpc/grpc-js"],
  },
  {
    file: "recipes/leases/probe.ts",
    message: "Border: the floor under the recipes",
    good: [
      ...["./lease-line.ts", "../errors/index.ts", "../writes/index.ts"],
      ...["../../src/index.ts", "../../src/internal/index.ts", "node:crypto"],
    ],
    bad: [
      "../queue/index.ts",
      "../writes/call-until-known.ts",
      "../option-schemas/index.ts",
      "../../src/client.ts",
      "zod",
    ],
  },
  {
    file: "recipes/errors/probe.ts",
    message: "Border: the floor under the recipes",
    good: ["./recipe-errors.ts", "../../src/index.ts"],
    bad: ["../queue/index.ts", "../confirmation/already-decided-error.ts", "../../src/client.ts", "zod"],
  },
  {
    file: "recipes/option-schemas/probe.ts",
    message: "Border: recipes/option-schemas",
    good: ["./checks.ts", "../health/index.ts", "../../src/index.ts", "../../src/internal/index.ts", "zod/mini"],
    bad: ["../queue/index.ts", "../leases/index.ts", "../index.ts", "node:fs"],
  },
  {
    file: "testing/probe.ts",
    message: "Border: testing",
    good: ["./member.ts", "./fake-etcd/index.ts", "node:net", "node:fs/promises"],
    bad: ["../src/index.ts", "../recipes/index.ts", "./fake-etcd/memory-etcd.ts", "etcd3", "zod"],
  },
  {
    file: "testing/fake-etcd/probe.ts",
    message: "Border: testing/fake-etcd",
    good: ["./memory-etcd.ts", "../../src/index.ts", "../../src/client-parts.ts", "../../src/connection/index.ts"],
    bad: ["../start-etcd.ts", "../../src/kv/kv.ts", "../../recipes/index.ts", "node:net", "etcd3", "zod"],
  },
  {
    file: "doors/connect/probe.ts",
    message: "Border: doors/connect",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "@connectrpc/connect", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/fastify/probe.ts",
    message: "Border: doors/fastify",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "fastify", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "undici", "zod"],
  },
  {
    file: "doors/grpc-js/probe.ts",
    message: "Border: doors/grpc-js",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "@grpc/grpc-js", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/metrics/probe.ts",
    message: "Border: doors/metrics",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "prom-client", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/nestjs/probe.ts",
    message: "Border: doors/nestjs",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "@nestjs/common", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/otel/probe.ts",
    message: "Border: doors/otel",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "@opentelemetry/api", "node:http"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/shared/probe.ts",
    message: "Border: doors/shared",
    good: ["./other.ts", "../../recipes/index.ts", "node:util"],
    bad: ["../undici/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "doors/undici/probe.ts",
    message: "Border: doors/undici",
    good: ["./other.ts", "../shared/other.ts", "../../recipes/index.ts", "undici", "node:http"],
    bad: ["../otel/index.ts", "../../src/index.ts", "../../recipes/queue/queue.ts", "fastify", "zod"],
  },
  {
    file: "cli/commands/probe.ts",
    message: "Border: the CLI",
    good: ["./list.ts", "../output.ts", "../../recipes/index.ts", "../../testing/index.ts", "node:os"],
    bad: ["../../src/index.ts", "../../recipes/queue/index.ts", "../../testing/find-etcd.ts", "etcd3", "zod"],
  },
  {
    file: "examples/probe.ts",
    message: "Border: an example",
    good: [
      ...["./other.ts", "etcd-recipes", "etcd-recipes/client", "etcd-recipes/metrics", "etcd-recipes/testing"],
      "node:http",
      "express",
    ],
    bad: ["../src/index.ts", "../recipes/index.ts", "etcd-recipes/dist/src/kv/kv.js", "etcd3"],
  },
  {
    file: "bench/probe.ts",
    message: "Border: a bench",
    good: ["./other.ts", "etcd-recipes", "etcd-recipes/client", "etcd-recipes/testing", "node:os"],
    bad: ["../src/index.ts", "../recipes/balancer/index.ts", "etcd-recipes/dist/src/kv/kv.js", "etcd3"],
  },
  {
    file: "examples/engine/master/probe.ts",
    message: "Border: the engine",
    good: ["./other.ts", "../shared/keys.ts", "../../printable.ts", "etcd-recipes", "@redis/client", "node:http"],
    bad: ["../../../recipes/index.ts", "../../demo/line.ts", "etcd-recipes/client", "etcd3", "redis"],
  },
  {
    file: "examples/demo/probe.ts",
    message: "Border: the demo",
    good: [
      "./other.ts",
      "../engine/shared/keys.ts",
      "../printable.ts",
      "etcd-recipes",
      "etcd-recipes/testing",
      "node:tty",
    ],
    bad: ["../../recipes/index.ts", "../../testing/index.ts", "../call.ts", "etcd-recipes/client", "etcd3"],
  },
  {
    file: "test/probe.ts",
    message: "Border: only src/connection",
    good: ["../src/kv/paged-range.ts", "../testing/index.ts", "zod/mini"],
    bad: ["etcd3", "etcd3/lib/rpc.js", "@grpc/grpc-js"],
  },
] as const;

/** Every way to write an import; none of them is a way round a border. */
const forms: Record<string, (specifier: string) => string> = {
  "side-effect": (specifier) => `import "${specifier}";\n`,
  named: (specifier) => `import { a } from "${specifier}";\nexport const b = a;\n`,
  type: (specifier) => `import type { A } from "${specifier}";\nexport type B = A;\n`,
  "export-from": (specifier) => `export { a } from "${specifier}";\n`,
  dynamic: (specifier) => `export const a = () => import("${specifier}");\n`,
};

interface Diagnostic {
  readonly category: string;
  readonly message: string;
  readonly location: { readonly path: string; readonly start: { readonly line: number } };
}

const folder = mkdtempSync(join(tmpdir(), "etcd-recipes-borders-"));
let diagnostics: Diagnostic[];

beforeAll(async () => {
  for (const file of ["biome.json", "package.json"]) copyFileSync(join(checkout, file), join(folder, file));
  for (const { file, good, bad } of rooms) {
    write(name(file, "good"), good.map((specifier) => forms["side-effect"]?.(specifier)).join(""));
    write(name(file, "bad"), bad.map((specifier) => forms["side-effect"]?.(specifier)).join(""));
  }
  for (const [form, print] of Object.entries(forms)) write(`src/kv/form-${form}.ts`, print("etcd3"));
  for (const sourceFolder of sourceFolders()) write(`${sourceFolder}/stranger.ts`, 'import "unheard-of";\n');
  write("recipes/mutex/circle.ts", 'import { b } from "../queue/index.ts";\nexport const a = () => b;\n');
  write("recipes/mutex/index.ts", 'export { a } from "./circle.ts";\n');
  write("recipes/queue/index.ts", 'import { a } from "../mutex/index.ts";\nexport const b = () => a;\n');
  diagnostics = await lint();
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe.each(rooms)("$file", ({ file, message, good, bad }) => {
  test("may import what its room may", () => {
    expect(good.map((_, index) => borderAt(name(file, "good"), index + 1))).toEqual(good.map(() => undefined));
  });

  test("is red, with the room's message, for everything else", () => {
    const received = bad.map((_, index) => borderAt(name(file, "bad"), index + 1));
    expect(received).toEqual(bad.map(() => expect.stringContaining(message)));
  });
});

test("no way to write an import is a way round a border", () => {
  const received = Object.keys(forms).map((form) => borderAt(`src/kv/form-${form}.ts`, 1));
  expect(received).toEqual(received.map(() => expect.stringContaining("Border: src/kv")));
});

test("every folder of source is in a room: a stranger's import is red in each of them", () => {
  expect(sourceFolders()).toContain("src/connection");
  expect(sourceFolders().filter((it) => borderAt(`${it}/stranger.ts`, 1) === undefined)).toEqual([]);
});

test("two recipes do not import each other in a circle", () => {
  const inCircle = diagnostics.filter(({ category }) => category === "lint/suspicious/noImportCycles");
  expect(inCircle.map(({ location }) => location.path)).toContain("recipes/mutex/circle.ts");
});

function name(file: string, what: "good" | "bad"): string {
  return file.replace("probe", `probe-${what}`);
}

function borderAt(path: string, line: number): string | undefined {
  return diagnostics.find(
    ({ category, location }) =>
      category === "lint/style/noRestrictedImports" && location.path === path && location.start.line === line,
  )?.message;
}

/** The folders of the checkout that hold TypeScript which is published or shown. */
function sourceFolders(): string[] {
  const entries = ["src", "recipes", "testing", "examples", "bench"].flatMap((room) =>
    readdirSync(join(checkout, room), { recursive: true, encoding: "utf8" }).map((entry) => `${room}/${entry}`),
  );
  return [...new Set(entries.filter((entry) => entry.endsWith(".ts")).map((entry) => dirname(entry)))];
}

function write(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function lint(): Promise<Diagnostic[]> {
  const biome = join(checkout, "node_modules/@biomejs/biome/bin/biome");
  const args = [biome, "lint", "--diagnostic-level=error", "--reporter=json", "--max-diagnostics=none"];
  // Its exit code is 1, as it should be: most of these files are wrong.
  const { stdout } = await outcomeOfRun(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 });
  return JSON.parse(stdout).diagnostics;
}
