import { nextTick } from "../internal/real-time.ts";

/** What a caller's callback throws is its own bug: it is an uncaught exception, and does no harm to other calls. */
export function rethrow(error: unknown): void {
  nextTick(() => {
    throw error;
  });
}
