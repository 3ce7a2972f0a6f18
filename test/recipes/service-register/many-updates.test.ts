import { expect, test } from "vitest";
import { type RegistrationCodec, type RegistrationToWrite, ServiceRegister } from "../../../recipes/index.ts";
import { DesiredRegistration } from "../../../recipes/registration/desired-registration.ts";
import { InvalidOptionError, prefix, RequestRefusedError, type TxnOptions } from "../../../src/index.ts";
import { deferred } from "../../../src/internal/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { VirtualLab } from "../../support/virtual-lab.ts";

/** What is to be registered, and what an etcd does that refuses each text with `bad` in it. */
function refusingBad() {
  const first = { address: "10.0.0.1:80", weight: undefined, draining: false, metadata: undefined };
  const desired = new DesiredRegistration("endpoint", first, "/svc/a");
  const refused = new Error("refused");
  const outcomes = new Map<string, unknown>();
  const update = (name: string, change: Parameters<DesiredRegistration["update"]>[0]) => {
    desired.update(change);
    desired.whenWritten().then(
      () => outcomes.set(name, "written"),
      (error) => outcomes.set(name, error),
    );
  };
  /** @param meanwhile happens while the text is on its way. @returns whether all stands in etcd now */
  const write = (meanwhile = () => {}) => {
    const { text, version } = desired;
    desired.sent();
    meanwhile();
    if (text.includes("bad")) return !desired.refused(version, refused);
    desired.written(version);
    return desired.text === text;
  };
  return { desired, refused, outcomes, update, write };
}

test("however many updates come while a refused one is looked for, it alone is dropped", async () => {
  const { desired, refused, outcomes, update, write } = refusingBad();
  update("good", { metadata: { a: 1 } });
  update("bad", { metadata: { bad: 1 } });
  expect(write()).toBe(false);
  const count = 200_000;
  for (let weight = 1; weight <= count; weight++) update(`weight ${weight}`, { weight });
  expect(desired.newest).toMatchObject({ metadata: { bad: 1 }, weight: count });
  let writes = 1;
  while (!write()) writes++;
  expect(writes).toBeLessThan(10);
  expect(JSON.parse(desired.text)).toMatchObject({ Metadata: { a: 1, "etcd-recipes/weight": count } });
  await Promise.resolve();
  expect(outcomes.get("bad")).toBe(refused);
  outcomes.delete("bad");
  expect(outcomes.size).toBe(count + 1);
  expect(new Set(outcomes.values())).toEqual(new Set(["written"]));
});

test("one that comes between a write and the next refusal is not rejected with the refused one", async () => {
  const { refused, outcomes, update, write } = refusingBad();
  update("good", { metadata: { a: 1 } });
  update("bad", { metadata: { bad: 1 } });
  write();
  for (let weight = 1; weight <= 40; weight++) update(`weight ${weight}`, { weight });
  // The good one is written.
  write();
  update("weight 41", { weight: 41 });
  while (!write());
  await Promise.resolve();
  expect(outcomes.size).toBe(43);
  expect([...outcomes].filter(([, outcome]) => outcome !== "written")).toEqual([["bad", refused]]);
});

test("however many updates come in each round trip, the refused one is found, and no other is rejected", async () => {
  const { refused, outcomes, update, write } = refusingBad();
  let weight = 0;
  const stream = () => {
    for (let updates = 0; updates < 40; updates++) update(`weight ${++weight}`, { weight });
  };
  for (const before of [[], ["good"]]) {
    for (const name of before) update(name, { metadata: { a: 1 } });
    update("bad", { metadata: { bad: 1 } });
    for (let writes = 0; !outcomes.has("bad"); writes++) {
      expect(writes).toBeLessThan(20);
      write(stream);
      await Promise.resolve();
    }
    expect(outcomes.get("bad")).toBe(refused);
    outcomes.delete("bad");
  }
  while (!write());
  await Promise.resolve();
  expect(outcomes.size).toBe(weight + 1);
  expect(new Set(outcomes.values())).toEqual(new Set(["written"]));
});

test("however often texts are sent without an answer, a refused update is found in a few writes", async () => {
  const { desired, refused, outcomes, update, write } = refusingBad();
  update("bad", { metadata: { bad: 1 } });
  for (let weight = 1; weight <= 20_000; weight++) {
    update(`weight ${weight}`, { weight });
    desired.sent();
  }
  let writes = 1;
  while (!write()) writes++;
  expect(writes).toBeLessThan(10);
  await Promise.resolve();
  expect(outcomes.get("bad")).toBe(refused);
  expect(outcomes.get("weight 20000")).toBe("written");
});

test.each([
  ["etcd refuses one", new RequestRefusedError("too large")],
  ["the client cannot send one", new InvalidOptionError("EtcdClient.txn", "value", "must be well-formed text")],
])("however many updates come while %s, the registration drops it alone and goes on", async (_, refused) => {
  await using lab = new VirtualLab("refused update");
  const { etcd } = lab.client();
  const { txn } = etcd;
  const [sent, refusal] = [deferred<void>(), deferred<void>()];
  etcd.txn = async (request, options) => {
    if (!JSON.stringify(request, (_, it) => (it instanceof Uint8Array ? `${Buffer.from(it)}` : it)).includes("bad"))
      return txn.call(etcd, request as TxnOptions, options);
    sent.resolve();
    await refusal.promise;
    throw refused;
  };
  const register = new ServiceRegister("/svc/a", "10.0.0.1:80", 30, { client: etcd, format: "endpoint" });
  lab.also(() => register.close());
  register.on("warning", () => {});
  // Before its first success as well.
  const bad = outcomeOf(register.update({ metadata: { bad: 1 } }));
  await lab.until(sent.promise);
  const weights = Array.from({ length: 100 }, (_, weight) => outcomeOf(register.update({ weight })));
  refusal.resolve();
  await lab.until(register.ready);
  await lab.until(Promise.all(weights));
  expect((await bad).error).toBe(refused);
  for (const { error } of await Promise.all(weights)) expect(error).toBeUndefined();
  expect(register.status).toBe("registered");
});

test("what a codec makes half a surrogate pair of never becomes the text, and leaves the one before", async () => {
  const encode = ({ address, weight = 1, metadata }: RegistrationToWrite) =>
    weight > 1 ? address : `${address},${String(metadata?.name).slice(0, 6)}`;
  const codec: RegistrationCodec = { name: "cut", encode, decode: (address) => ({ address }) };
  const first = { address: "a:1", weight: undefined, draining: false, metadata: undefined };
  const desired = new DesiredRegistration(codec, first, "/svc/a");
  desired.written(1);
  desired.update({ weight: 2 });
  desired.update({ metadata: { name: "emoji😀" } });
  expect(desired.text).toBe("a:1");
  // Without the weight the name is in the text.
  desired.sent();
  desired.refused(desired.version, new Error("refused"));
  desired.refused(desired.version, new Error("refused"));
  expect(desired.text).toBe("a:1");
});

test("an update that a codec makes half a surrogate pair of is rejected by the name of the option, and the next is written", async () => {
  await using lab = new VirtualLab("half a pair");
  const { etcd } = lab.client();
  const codec: RegistrationCodec = {
    name: "cut",
    encode: ({ address, metadata }) => `${address},${String(metadata?.name).slice(0, 11)}`,
    decode: (value) => ({ address: value.slice(0, value.indexOf(",")) }),
  };
  const register = new ServiceRegister("/svc/a", "a:1", 5, { client: etcd, format: codec });
  lab.also(() => register.close());
  await lab.until(register.ready);
  const half = outcomeOf(register.update({ metadata: { name: "emoji cut 😀" } }));
  expect((await half).error).toMatchObject({
    code: "ETCD_INVALID_OPTION",
    message: expect.stringMatching(/^ServiceRegister.update: format must encode to well-formed text: cut made half/),
  });
  await lab.until(register.update({ metadata: { name: "emoji 😀 cut" } }));
  expect([register.status, lab.memory.entries(prefix("/svc/")).map(({ text }) => text)]).toEqual([
    "registered",
    ["a:1,emoji 😀 cu"],
  ]);
});

test("an update that is sent again, as its lease was lost, is refused alone", async () => {
  const { desired, refused, outcomes, update, write } = refusingBad();
  update("bad", { metadata: { bad: 1 } });
  desired.sent();
  for (let weight = 1; weight <= 100; weight++) update(`weight ${weight}`, { weight });
  desired.sent();
  while (!write());
  await Promise.resolve();
  expect([...outcomes].filter(([, outcome]) => outcome === refused).map(([name]) => name)).toEqual(["bad"]);
  expect(outcomes.get("weight 1")).toBe("written");
});
