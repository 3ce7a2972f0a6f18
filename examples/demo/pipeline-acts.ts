import { existsSync } from "node:fs";
import { join } from "node:path";
import { keys } from "../engine/shared/keys.ts";
import { type Act, steps } from "./acts.ts";
import type { Stage } from "./stage.ts";

export function cancelPipeline({ workload, ledger, cancellation, journal }: Stage): Act {
  return {
    title: "a pipeline is cancelled while its tasks run",
    async play(see, signal) {
      const { pipelineId, ids } = await workload.submit(steps(12, { project: "proj-1", durationMs: 2_500 }), signal);
      await see("one of its tasks runs", () => ids.some((id) => ledger.state(id) === "running"));
      await cancellation.cancel(pipelineId, "superseded", { signal });
      journal.log("demo", `${pipelineId} cancelled: superseded`);
      const isOver = (id: string) => ledger.state(id) === "cancelled" || ledger.state(id) === "done";
      const seconds = await see("all its tasks are over", () => ids.every(isOver));
      const cancelled = ids.filter((id) => ledger.state(id) === "cancelled").length;
      return `${cancelled} of ${ids.length} tasks were cancelled within ${seconds} s, running ones too`;
    },
  };
}

export function confirmTasks({ workload, ledger, confirmation, journal }: Stage): Act {
  return {
    title: "two tasks ask to be confirmed; one is approved, one times out",
    async play(see, signal) {
      const step = { project: "proj-2", durationMs: 300, confirmWithinSeconds: 4 };
      const { ids } = await workload.submit(steps(2, step), signal);
      const [approved = "", ignored = ""] = ids;
      // A task says "confirming" before its request has reached etcd.
      const isAsked = async () =>
        (await confirmation.pending({ signal })).filter(({ id }) => ids.includes(id)).length === 2;
      await see("both wait", isAsked);
      await confirmation.approve(approved, "demo", { signal });
      journal.log("demo", `${approved} approved; ${ignored} is left without an answer`);
      await see("the approved one is done", () => ledger.state(approved) === "done");
      const seconds = await see("the other one is cancelled", () => ledger.state(ignored) === "cancelled");
      return `the approved one was done; ${seconds} s later the other timed out`;
    },
  };
}

/** A project that is built once and never again. */
export function expireCache({ workload, ledger, caches, fleet }: Stage): Act {
  const project = "proj-seldom";
  const folders = () => fleet.masters.map(({ dir }) => join(dir, "caches", project)).filter((path) => existsSync(path));
  return {
    title: `${project} is not built any more: its cache expires`,
    async play(see, signal) {
      const { ids } = await workload.submit(steps(3, { project, durationMs: 100 }), signal);
      await see("it was built", () => ids.every((id) => ledger.state(id) === "done"));
      await see(`${keys.caches}${project} is there`, () => caches.has(project));
      const built = folders().length;
      const seconds = await see(`${keys.caches}${project} is deleted`, () => !caches.has(project));
      await see("its folders are gone", () => folders().length === 0);
      return `${project} gone after ${seconds} s, with its folder on ${built} masters`;
    },
  };
}
