import { runInNewContext } from "node:vm";
import fastify from "fastify";
import { expect, test } from "vitest";
import { etcdRecipes } from "../../../doors/fastify/index.ts";
import { EtcdRecipesModule } from "../../../doors/nestjs/index.ts";
import { checkObject, shown } from "../../../doors/shared/check-object.ts";
import { EtcdClient } from "../../../src/index.ts";

test.each([
  "http://me:hunter2@a",
  "hunter2@a",
  "me:hunter2",
  "https://me:hunter2",
  "a:2379?hunter2",
  "a#hunter2",
  "-----BEGIN PRIVATE KEY-----\nhunter2",
])("%j in the place of options is refused by doors without being shown", async (given) => {
  const options = given as never;
  const refused = expect.objectContaining({
    code: "ETCD_INVALID_OPTION",
    message: expect.stringMatching(/must be .*, not a string$/),
  });
  expect(() => checkObject("door", "options", options)).toThrow(refused);
  expect(() => EtcdRecipesModule.forRoot(options)).toThrow(refused);
  await expect(fastify().register(etcdRecipes, { client: options })).rejects.toEqual(refused);
});

class Config {
  readonly key = "/svc/a";

  get isComplete(): boolean {
    return true;
  }
}

class Empty {}
class StillEmpty extends Empty {}

class Service {
  get key(): string {
    return "/svc/a";
  }
}

class Thenable extends Config {
  // biome-ignore lint/suspicious/noThenProperty: what is refused
  then(): void {}
}

test.each([
  ["a plain object", {}],
  ["one without a prototype", Object.create(null)],
  ["one of another realm", runInNewContext("({})")],
  ["an instance of a class with own properties", new Config()],
  ["one of a class that has nothing", new StillEmpty()],
])("options may be %s", (_, given) => {
  expect(() => checkObject("door", "options", given)).not.toThrow();
});

test.each([
  ["a list", [], "an array"],
  ["a promise", Promise.resolve({}), "a Promise: await it first"],
  ["a thenable", new Thenable(), "an object of the class Thenable"],
  ["a Map", new Map([["key", "/svc/a"]]), "an object of the class Map"],
  ["an error", Object.assign(new TypeError("no"), { key: "/svc/a" }), "an object of the class TypeError"],
  ["an object without own properties whose class does something", new Service(), "an object of the class Service"],
  ["a client", Object.assign(new EtcdClient(), { key: "/svc/a" }), "an object of the class EtcdClient"],
  ["a function", Config, "[class Config]"],
])("options may not be %s", (_, given, shownAs) => {
  const problem = `door: options must be a plain object, not ${shownAs}`;
  expect(() => checkObject("door", "options", given)).toThrow(problem);
});

test.each(["ready", "/ready", "Orders", "etcd://", "127.0.0.1:2379", "12 s"])("the text %j is shown", (text) => {
  expect(shown(text)).toBe(`'${text}'`);
});
