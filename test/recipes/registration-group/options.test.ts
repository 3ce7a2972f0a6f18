import { afterAll, expect, test } from "vitest";
import { RegistrationGroup } from "../../../recipes/registration-group/index.ts";
import { EtcdClient, InvalidOptionError } from "../../../src/index.ts";

// No server listens there: options are checked before any I/O.
const client = new EtcdClient({ endpoints: "http://127.0.0.1:9" });
const group = new RegistrationGroup("/svc/", 5, { client });
afterAll(() => group.close());

const refusedGroups: [unknown, unknown, unknown, string][] = [
  ["", 5, {}, "RegistrationGroup: prefix must not be empty: that would be every key there is"],
  [7, 5, {}, "RegistrationGroup: prefix must be a string, not 7"],
  ["/svc/", 0, {}, "RegistrationGroup: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not 0"],
  ["/svc/", 1.5, {}, "RegistrationGroup: ttlSeconds must be a whole number of seconds from 1 to 9000000000, not 1.5"],
  ["/svc/", 5, "x", 'RegistrationGroup: options must be a plain object, not "x"'],
  ["/svc/", 5, { onConflicts: "wait" }, 'RegistrationGroup: onConflicts is not an option; did you mean "onConflict"?'],
  [
    "/svc/",
    5,
    { onConflict: "take" },
    'RegistrationGroup: onConflict must be "replace", "wait" or "error", not "take"',
  ],
  [
    "/svc/",
    5,
    { foreignFormats: true },
    'RegistrationGroup: foreignFormats must be "warn", "error" or "ignore", not true',
  ],
  ["/svc/", 5, { metadata: {} }, "RegistrationGroup: metadata is not an option"],
];

for (const [prefix, ttl, options, message] of refusedGroups) {
  test(`a group is refused: ${message}`, () => {
    const given = typeof options === "object" ? { client, ...options } : options;
    const construct = () => new RegistrationGroup(prefix as string, ttl as number, given as object);
    expect(construct).toThrow(InvalidOptionError);
    expect(construct).toThrow(message);
  });
}

const refusedMembers: [unknown, unknown, unknown, string][] = [
  ["", "a:1", {}, "RegistrationGroup.register: id must not be empty"],
  [undefined, "a:1", {}, "RegistrationGroup.register: id must be a string, not undefined"],
  ["/m1", "a:1", {}, "RegistrationGroup.register: id must not begin with a slash: the prefix ends with one"],
  ["m1/", "a:1", {}, "RegistrationGroup.register: key must not end with a slash"],
  ["m1", "", {}, "RegistrationGroup.register: address must not be empty"],
  ["m1", "a b", {}, "RegistrationGroup.register: address must not have white space or control characters in it"],
  ["m1", "8080", {}, 'RegistrationGroup.register: address cannot be read back from the format "plain"'],
  ["m1", "a:1", 7, "RegistrationGroup.register: options must be a plain object, not 7"],
  ["m1", "a:1", { wieght: 3 }, 'RegistrationGroup.register: wieght is not an option; did you mean "weight"?'],
  ["m1", "a:1", { weight: -1 }, "RegistrationGroup.register: weight must be at least 0, not -1"],
  ["m1", "a:1", { weight: Number.NaN }, "RegistrationGroup.register: weight must be a number, not NaN"],
  [
    "m1",
    "a:1",
    { weight: 2, format: "plain" },
    'RegistrationGroup.register: weight cannot be carried by the format "plain"; leave the format out, or say "endpoint"',
  ],
  [
    "m1",
    "a:1",
    { metadata: { "etcd-recipes/weight": 3 } },
    'RegistrationGroup.register: metadata must not have "etcd-recipes/weight" in it: that name is reserved',
  ],
  [
    "m1",
    "a:1",
    { onConflict: "no" },
    'RegistrationGroup.register: onConflict must be "replace", "wait" or "error", not "no"',
  ],
  ["m1", "a:1", { client }, "RegistrationGroup.register: client is not an option"],
];

for (const [id, address, options, message] of refusedMembers) {
  test(`an instance is refused: ${message}`, () => {
    const register = () => group.register(id as string, address as string, options as object);
    expect(register).toThrow(InvalidOptionError);
    expect(register).toThrow(message);
    expect(group.size).toBe(0);
  });
}

test("an id that is registered already is refused, until it is closed", async () => {
  const first = group.register("twice", "a:1");
  const register = () => group.register("twice", "a:2");
  expect(register).toThrow(InvalidOptionError);
  expect(register).toThrow(
    "RegistrationGroup.register: id must be a new one: twice is registered in this group already; close that one first",
  );
  const closing = first.close();
  const second = register();
  await closing;
  expect(group.get("twice")).toBe(second);
  await second.close();
});

test("an update or a close is refused by name, and changes nothing", async () => {
  const member = group.register("m1", "a:1");
  await expect(member.update({ weight: 2 })).rejects.toThrow(
    'GroupMember.update: weight cannot be carried by the format "plain"; construct with { format: "endpoint" }',
  );
  await expect(member.update({ adress: "a:2" } as object)).rejects.toThrow(
    'GroupMember.update: adress is not an option; did you mean "address"?',
  );
  await expect(member.close({ drainMs: -1 })).rejects.toThrow("GroupMember.close: drainMs must be at least 0, not -1");
  await expect(group.close({ drain: 5 } as object)).rejects.toThrow(
    'RegistrationGroup.close: drain is not an option; did you mean "drainMs"?',
  );
  expect(member.status).toBe("registering");
  await member.close();
});
