import { expect, test } from "vitest";
import { seeded } from "../../support/seeded.ts";
import { TrackedKeysModel } from "../../support/tracked-keys-model.ts";

const RUNS = 1_000;
const STEPS = 40;

test("what is known of keys is what etcd had at the newest revision of answers and mirror", () => {
  const random = seeded("tracked keys");
  for (let run = 1; run <= RUNS; run++) {
    const model = new TrackedKeysModel(random);
    try {
      for (let step = 0; step < STEPS; step++) model.step();
      model.finish();
    } catch (error) {
      throw new Error(`TEST_SEED=${random.seed}, run ${run}: ${(error as Error).message}`);
    }
  }
  expect.assertions(0);
});
