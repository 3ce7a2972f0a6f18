import { EngineProcess } from "./engine-process.ts";

const flags = ["--ttl", "3", "--renew", "1", "--drain", "5"];

/** A scheduler, and the term in which it leads, as it says itself. */
export class SchedulerProcess extends EngineProcess {
  /** Undefined while it does not lead. */
  token: number | undefined;

  constructor(number: number, env: NodeJS.ProcessEnv) {
    super("scheduler", `scheduler-${number}`, flags, env);
    this.on("logged", ({ event, token }) => {
      if (event === "elected" && typeof token === "number") this.token = token;
      if (event === "lost" || event === "resigned" || event === "left") this.token = undefined;
    });
  }

  get leads(): boolean {
    return this.isUp && this.token !== undefined;
  }
}
