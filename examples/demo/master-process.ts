import { join } from "node:path";
import { EngineProcess } from "./engine-process.ts";

const zones = ["a", "b"];

/** Short, so that what follows from a failure is seen soon. A cache lives longer than any task takes. */
const flags = ["--ttl", "3", "--cache-ttl", "4", "--drain", "8"];

/** A master, what it has in hand and what it has done, as it says itself. */
export class MasterProcess extends EngineProcess {
  readonly zone: string;
  readonly weight: number;
  /** Its build caches and its log of what was done. */
  readonly dir: string;
  readonly inFlight = new Set<string>();
  done = 0;

  /** @param root the folder of the demo, where each master has its own */
  constructor(number: number, root: string, env: NodeJS.ProcessEnv) {
    const id = `master-${number}`;
    const zone = zones[number % zones.length] ?? "a";
    const weight = 1 + (number % 2);
    const dir = join(root, id);
    super("master", id, ["--dir", dir, "--zone", zone, "--weight", String(weight), ...flags], env);
    this.zone = zone;
    this.weight = weight;
    this.dir = dir;
    this.on("logged", ({ event, task }) => {
      if (typeof task !== "string") return;
      if (event === "task-started") this.inFlight.add(task);
      else this.inFlight.delete(task);
      if (event === "task-done" || event === "task-done-twice") this.done++;
    });
  }
}
