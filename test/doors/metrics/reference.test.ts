import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { startMetrics } from "../../../doors/metrics/index.ts";
import { allMetrics } from "../../../recipes/index.ts";

const page = readFileSync(fileURLToPath(new URL("../../../docs/reference/observability.md", import.meta.url)), "utf8");

test("the reference lists every metric with its kind, labels and description, and no other", () => {
  using metrics = startMetrics();
  const types = [...metrics.text().matchAll(/^# TYPE (\w+) (\w+)$/gm)];
  const rows = [...page.matchAll(/^\| `(etcd_recipes_\w+)` \| (\w+) \| (.*?) \| (.*) \|$/gm)];
  expect(rows.map(([, name, kind]) => [name, kind])).toEqual(types.map(([, name, kind]) => [name, kind]));
  expect(rows.map(([, , , labels, what]) => [(labels ?? "").match(/\w+/g) ?? [], what])).toEqual(
    allMetrics.map(({ labels, description }) => [labels, description]),
  );
});
