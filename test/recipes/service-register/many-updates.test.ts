import { expect, test } from "vitest";
import { DesiredRegistration } from "../../../recipes/registration/desired-registration.ts";

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
  /** @returns whether it stands in etcd now */
  const write = () => {
    const { text, version } = desired;
    if (text.includes("bad")) return !desired.refused(version, refused);
    desired.written(version);
    return desired.text === text;
  };
  return { desired, refused, outcomes, update, write };
}

test("however many updates come while a refused one is looked for, they are written, and it alone is dropped", async () => {
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
