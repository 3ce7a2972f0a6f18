import { showAs } from "../../src/internal/index.ts";
import { Held } from "../candidacy/internal.ts";
import { FencedOutError } from "../errors/index.ts";
import type { Lock } from "./lock.ts";

/** A lock on the candidacy that came first. */
export class HeldLock extends Held implements Lock {
  static {
    showAs(HeldLock, "Lock", (it) => ({ key: it.key, token: it.token, aborted: it.signal.aborted }));
  }

  async release(): Promise<void> {
    this.giveUp(new FencedOutError(`${this.key} was released`));
    await this.leave();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }
}
