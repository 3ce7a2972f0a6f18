import fastify from "fastify";
import { expect, test } from "vitest";
import { etcdRecipes } from "../../../doors/fastify/index.ts";
import { EtcdRecipesModule } from "../../../doors/nestjs/index.ts";
import { checkObject, shown } from "../../../doors/shared/check-object.ts";

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

test.each(["ready", "/ready", "Orders", "etcd://", "127.0.0.1:2379", "12 s"])("the text %j is shown", (text) => {
  expect(shown(text)).toBe(`'${text}'`);
});
