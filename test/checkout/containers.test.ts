import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(`${checkout}${path}`, "utf8");
const dockerfile = read("Dockerfile");
const compose = read("docker-compose.yml");

test("the Dockerfile copies what there is, and .dockerignore lets it through", () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "));
  expect(copied).toContain("recipes");
  const ignored = read(".dockerignore").split("\n");
  for (const path of copied) {
    expect(existsSync(checkout + path), path).toBe(true);
    const pattern = path.startsWith("tsconfig") ? "!tsconfig*.json" : `!${path}`;
    expect(ignored).toContain(pattern);
  }
});

test("the image has all that the build reads", () => {
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, paths = ""]) => paths.split(" "));
  const { scripts } = JSON.parse(read("package.json"));
  for (const name of ["build", "build:examples"]) {
    expect(dockerfile).toContain(`npm run ${name}`);
    for (const [path] of scripts[name].matchAll(/scripts|tsconfig\.\w+\.json/g)) expect(copied).toContain(path);
  }
  const texts = [read("scripts/build.mjs"), scripts["build:examples"]];
  const projects = texts.flatMap((text) => [...text.matchAll(/tsconfig\.\w+\.json/g)].map(([name]) => name));
  expect(projects.length).toBeGreaterThan(1);
  for (const name of projects) {
    expect(copied).toContain(name);
    const { include, extends: base } = JSON.parse(read(name));
    for (const path of [...include, String(base).replace("./", "")]) expect(copied, name).toContain(path);
  }
});

test("the last image does not run as root", () => {
  const [last = ""] = dockerfile.split(/^FROM /m).slice(-1);
  expect(last).toMatch(/^USER node$/m);
});

test("what the containers run are programs of the engine, with flags that they have", () => {
  // In one line or in several, with a comma behind the last.
  const commands = [...compose.matchAll(/command:\s+(\[\s*"engine\/[^\]]+\])/g)].map(([, list = ""]) =>
    JSON.parse(list.replace(/,\s*\]$/, "]")),
  );
  expect(commands).toHaveLength(5);
  for (const [program, ...args] of commands as string[][]) {
    const name = String(program).replace(/^engine\/(.*)\.js$/, "$1");
    const options = read(`examples/engine/${name}-options.ts`);
    for (const flag of args.filter((arg) => arg.startsWith("--"))) expect(options, flag).toContain(flag);
  }
});

test("the image has every package that the engine imports and the library does not depend on", () => {
  const { dependencies } = JSON.parse(read("package.json"));
  const [, imported] = /from "(@redis\/client)"/.exec(read("examples/engine/tasks/redis-tasks.ts")) ?? [];
  expect(imported).toBe("@redis/client");
  expect(dependencies).not.toHaveProperty("@redis/client");
  const needed = JSON.parse(read("package-lock.json")).packages["node_modules/@redis/client"].dependencies;
  for (const name of ["@redis", ...Object.keys(needed)]) {
    expect(dockerfile).toContain(`COPY --from=build /src/node_modules/${name} node_modules/${name}`);
  }
});
