import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { run } from "../support/child.ts";
import { pathOf } from "../support/path-of.ts";

const installer = fileURLToPath(new URL("../../scripts/etcd-recipes-etcd.mjs", import.meta.url));

/** What apt 2.6 says of a list whose Valid-Until has passed, and of one whose signature is wrong. */
const expired = "E: Release file for http://mirror/dists/$suite/InRelease is expired (invalid since 22d 0h 38min 44s).";
const unsigned = "E: The repository 'http://mirror $suite InRelease' is not signed.";

/** An apt that only pretends: each suite offers what a file of its name says. */
const programs = {
  "apt-get": `read -r _ _ _ suite _ < sources.list 2>/dev/null
case "$1" in
  indextargets) echo "http://mirror main" ;;
  update)
    echo "$suite $*" >> "$WORLD/updates"
    if test -e "$WORLD/unsigned-$suite"; then echo "${unsigned}" >&2; exit 100; fi
    if test -e "$WORLD/expired-$suite" && test "$3" != Acquire::Check-Valid-Until=false; then
      echo "${expired}" >&2; exit 100
    fi ;;
  download) for name in $2 $3; do cat "$WORLD/$suite" > "$name.deb"; done ;;
esac`,
  "apt-cache": `read -r _ _ _ suite _ < sources.list; read -r version < "$WORLD/$suite"; echo "Version: $version-4+b4"`,
  "apt-config": `echo 'Acquire::http::Proxy "http://proxy";'; echo 'Acquire::Check-Valid-Until "yes";'`,
  dpkg: `mkdir -p "$3/usr/bin"
read -r version < "$2"
for name in etcd etcdctl; do
  printf '#!/bin/sh\\necho "etcd Version: %s"\\n' "$version" > "$3/usr/bin/$name"; chmod +x "$3/usr/bin/$name"
done`,
};

let world: string;

beforeEach(async () => {
  world = await mkdtemp(join(tmpdir(), "installer-packages-"));
  await pathOf(join(world, "bin"), ["cat", "chmod", "mkdir"]);
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(world, "bin", name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  await mkdir(join(world, "installed"));
});
afterEach(() => rm(world, { recursive: true }));

interface Suite {
  readonly etcd: string;
  readonly expired?: boolean;
  readonly unsigned?: boolean;
}

async function offer(suites: Readonly<Record<string, Suite>>): Promise<void> {
  for (const [suite, { etcd, expired, unsigned }] of Object.entries(suites)) {
    await writeFile(join(world, suite), `${etcd}\n`);
    if (expired) await writeFile(join(world, `expired-${suite}`), "");
    if (unsigned) await writeFile(join(world, `unsigned-${suite}`), "");
  }
}

interface Outcome {
  readonly version?: string;
  readonly error?: string;
  readonly lines: readonly string[];
}

/** In a process of its own: `PATH` is where the tools are looked for. */
async function fetchPackage(version?: string): Promise<Outcome> {
  const distribution = {
    name: "Debian",
    path: "/debian",
    keyring: "/keyring.gpg",
    ownSuite: "bookworm",
    suites: ["stable", "testing"],
    component: "main",
  };
  const program = `import { fetchPackage } from ${JSON.stringify(installer)};
const lines = [];
const options = { log: (line) => lines.push(line), env: process.env, distribution: ${JSON.stringify(distribution)} };
const outcome = await fetchPackage(process.argv[1], { ...options, version: process.argv[2] }).then(
  (version) => ({ version }),
  (error) => ({ error: error.name + ": " + error.message }),
);
console.log(JSON.stringify({ ...outcome, lines }));`;
  const args = ["--input-type=module", "-e", program, join(world, "installed"), ...(version ? [version] : [])];
  const { stdout } = await run(process.execPath, args, { env: { PATH: join(world, "bin"), WORLD: world } });
  return JSON.parse(stdout) as Outcome;
}

const updates = async () => (await readFile(join(world, "updates"), "utf8")).trim().split("\n");

test("a version that only this machine's own, older release has is found there", async () => {
  await offer({ bookworm: { etcd: "3.4.23" }, stable: { etcd: "3.5.16" }, testing: { etcd: "3.5.30" } });
  expect(await fetchPackage("3.4.23")).toMatchObject({ version: "3.4.23" });
  expect(await fetchPackage("3.5.30")).toMatchObject({ version: "3.5.30" });
  expect(await fetchPackage()).toMatchObject({ version: "3.5.16" });
});

test("an exact version is taken from an expired list, which is said", async () => {
  await offer({ bookworm: { etcd: "3.4.23" }, stable: { etcd: "3.5.16" }, testing: { etcd: "3.5.30", expired: true } });
  const { version, lines } = await fetchPackage("3.5.30");
  expect(version).toBe("3.5.30");
  expect(lines.join("\n")).toMatch(/testing\/InRelease is expired .*\nreading it all the same, for this exact version/);
  // Each list is first read as apt would.
  expect((await updates()).at(-2)).toBe("testing update");
  expect((await updates()).at(-1)).toBe("testing update --option Acquire::Check-Valid-Until=false");
});

test("whatever is newest is never taken from an expired list", async () => {
  await offer({ stable: { etcd: "3.4.23" }, testing: { etcd: "3.5.30", expired: true } });
  expect((await fetchPackage()).error).toMatch(/^UnavailableError: .*testing: E: Release file .* is expired/);
  expect(await updates()).toEqual(["stable update", "testing update"]);
});

test("a list whose signature is wrong is taken for nothing, expired or not", async () => {
  const wrong = { etcd: "3.5.30", expired: true, unsigned: true };
  await offer({ bookworm: { etcd: "3.4.23" }, stable: { etcd: "3.5.16" }, testing: wrong });
  expect((await fetchPackage("3.5.30")).error).toMatch(/testing: E: The repository .* is not signed/);
  expect(await updates()).not.toContainEqual(expect.stringContaining("Check-Valid-Until"));
});

test("a package that lacks fixes is taken where no version was asked for, which is said", async () => {
  await offer({ stable: { etcd: "3.5.16" }, testing: { etcd: "3.5.30" } });
  const lacks = expect.stringMatching(/^etcd 3\.5\.16 lacks security fixes that 3\.5\.\d+ has/);
  expect((await fetchPackage()).lines).toContainEqual(lacks);
  expect((await fetchPackage("3.5.16")).lines).not.toContainEqual(lacks);
});
