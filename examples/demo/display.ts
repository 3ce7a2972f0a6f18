import type { Stage } from "./stage.ts";

/** Shows what happens: as lines, or as a view that is redrawn in place. */
export interface Display {
  /** From now on the stage is there to be shown, not only the journal. */
  show(stage: Stage): void;
  /** Leaves the terminal as it was, with what stays to be read. */
  close(): void;
}
