import { expect, test } from "vitest";
import type { ServiceInstance } from "../../../recipes/index.ts";
import { InstanceTable } from "../../../recipes/subscribe-service/instance-table.ts";
import { seeded } from "../../support/seeded.ts";

test("whatever happens in whatever order, it has what a plain list would have", () => {
  const random = seeded("instance table");
  for (let run = 0; run < 100; run++) {
    const table = new InstanceTable<unknown>();
    const model = new Map<string, { instance: ServiceInstance; leaving: boolean }>();
    const steps: string[] = [];
    /** What one knows of the pickable ones who hears of changes only. */
    const followed: ServiceInstance[] = [];
    for (let step = 0; step < 100; step++) {
      const key = `k${random.between(0, 7)}`;
      const ejected = random.chance(0.3) && { ejected: true as const };
      const instance = { key, draining: random.chance(0.3), ...ejected } as ServiceInstance;
      const leaving = random.chance(0.5);
      const known = model.get(key);
      const what = random.pick(["set", "delete", "setLeaving", "replace"] as const);
      steps.push(`${what} ${key}`);
      if (what === "set") {
        table.set(instance);
        model.set(key, { instance, leaving: false });
      } else if (what === "delete") {
        table.delete(key);
        model.delete(key);
      } else if (what === "setLeaving") {
        table.setLeaving(key, leaving);
        if (known) known.leaving = leaving;
      } else {
        table.replace(instance);
        if (known) known.instance = instance;
      }
      const all = [...model.values()];
      const notDraining = all.filter((entry) => !entry.instance.draining);
      const free = notDraining.filter((entry) => !entry.leaving && !entry.instance.ejected);
      const keysOf = (entries: typeof all) => entries.map((entry) => entry.instance.key).sort();
      const said = `seed ${random.seed}: ${steps.join(", ")}`;
      const pickable = table.pickable().map((picked) => picked.key);
      expect([...pickable].sort(), said).toEqual(keysOf(free.length > 0 ? free : notDraining));
      expect(table.all(), said).toEqual(keysOf(all).map((name) => model.get(name)?.instance));
      expect(table.size).toBe(model.size);
      expect(table.serving, said).toBe(notDraining.length);
      const change = table.takeChange();
      for (const at of change.positions) followed[at] = change.servers[at] as ServiceInstance;
      followed.length = change.servers.length;
      expect(followed, said).toEqual(change.servers);
    }
  }
});
