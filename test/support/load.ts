import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import type { SubscribeService } from "../../recipes/index.ts";
import type { Child } from "./child.ts";
import { until } from "./until.ts";

/**
 * Keeps requests under way to servers of a list, as its `pick()` has them, while apps get SIGTERM, one after the other.
 * None may fail, and each app must end with `end`, an exit code or a signal.
 */
export async function endUnderLoad(
  services: SubscribeService,
  apps: readonly Child[],
  path: string,
  end: number | string = 0,
): Promise<void> {
  const failures: unknown[] = [];
  let answers = 0;
  let under = true;
  const callers = Array.from({ length: 8 }, async () => {
    while (under) {
      const { address } = services.pick();
      try {
        const response = await fetch(`http://${address}${path}`);
        await response.text();
        if (response.ok) answers++;
        else failures.push(response.status);
      } catch (error) {
        failures.push(error);
      }
      await sleep(2);
    }
  });
  for (const app of apps) {
    const before = answers;
    await until(() => answers > before + 50);
    app.kill("SIGTERM");
    await app.ended;
  }
  const before = answers;
  await until(() => answers > before + 50);
  under = false;
  await Promise.all(callers);
  expect(failures).toEqual([]);
  expect(apps.map((app) => app.end)).toEqual(apps.map(() => end));
}
