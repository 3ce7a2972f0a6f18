import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { RegistrationGroup } from "../../../recipes/index.ts";
import { buildGoNaming, type GoNaming } from "../../support/go-naming.ts";
import { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

// The real thing: Go's clientv3/naming, where a Go toolchain and its sources are installed.

let lab: RegistryLab;
let go: GoNaming | string;

beforeAll(async () => {
  lab = await RegistryLab.start();
  go = await buildGoNaming();
}, 240_000);
afterEach(() => lab.clear());
afterAll(async () => {
  await lab?.[Symbol.asyncDispose]();
  if (typeof go === "object") await go[Symbol.asyncDispose]();
});

/** Skips the test where it cannot be built, and says why. */
function built(skip: (note: string) => never): GoNaming {
  return typeof go === "string" ? skip(go) : go;
}

test("what Go's endpoints.Manager registers is listed, with its metadata", async ({ skip }) => {
  const naming = built(skip);
  const prefix = lab.newPrefix();
  const target = prefix.slice(0, -1);
  const services = lab.subscribe(prefix);
  await services.ready;
  await naming.run(lab.endpoint, target, "add", `${prefix}go-1`, "10.0.0.1:80", '{"zone":"a"}');
  await naming.run(lab.endpoint, target, "add", `${prefix}go-2`, "10.0.0.2:80", "null");
  const list = await services.until(({ length }) => length === 2);
  expect(list).toMatchObject([
    { id: "go-1", address: "10.0.0.1:80", weight: 1, draining: false, metadata: { zone: "a" } },
    { id: "go-2", address: "10.0.0.2:80", weight: 1, draining: false, metadata: undefined },
  ]);
});

test("what ServiceRegister and RegistrationGroup write, Go's endpoints.Manager lists and follows, its gRPC resolver too", async ({
  skip,
}) => {
  const naming = built(skip);
  const prefix = lab.newPrefix();
  const target = prefix.slice(0, -1);
  await using watch = naming.follow(lab.endpoint, target, "watch");
  await using resolved = naming.follow(lab.endpoint, target, "resolve");
  const one = lab.register(`${prefix}one`, "10.0.0.1:80", 5, { metadata: { zone: "a" }, weight: 3 });
  const group = new RegistrationGroup(prefix, 5, { client: lab.etcd });
  lab.also(() => group.close());
  const two = group.register("two", "10.0.0.2:80", { format: "endpoint" });
  await Promise.all([one.ready, group.ready]);
  expect(JSON.parse(await naming.run(lab.endpoint, target, "list"))).toEqual({
    [`${prefix}one`]: { Addr: "10.0.0.1:80", Metadata: { zone: "a", "etcd-recipes/weight": 3 } },
    [`${prefix}two`]: { Addr: "10.0.0.2:80", Metadata: null },
  });
  const updates = () => watch.lines.map((line) => JSON.parse(line)).filter(({ Key }) => Key === `${prefix}two`);
  await until(() => updates().length === 1, { message: () => watch.lines.join("\n") });
  const received = () => resolved.lines.at(-1);
  await until(() => received() === '["10.0.0.1:80","10.0.0.2:80"]', { message: () => `${resolved.lines}` });
  await two.update({ address: "10.0.0.3:80" });
  await until(() => received() === '["10.0.0.1:80","10.0.0.3:80"]', { message: () => `${resolved.lines}` });
  await two.close();
  await until(() => received() === '["10.0.0.1:80"]', { message: () => `${resolved.lines}` });
  // Op 0 adds, 1 deletes.
  await until(() => updates().at(-1)?.Op === 1, { message: () => watch.lines.join("\n") });
  expect(updates().map(({ Op, Endpoint }) => [Op, Endpoint.Addr])).toEqual([
    [0, "10.0.0.2:80"],
    [0, "10.0.0.3:80"],
    [1, ""],
  ]);
});
