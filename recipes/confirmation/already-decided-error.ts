import { EtcdError } from "../../src/index.ts";
import type { ConfirmationResult } from "./confirmation-result.ts";

/** The confirmation was decided before, perhaps by its time-out: this decision came too late and changes nothing. */
export class AlreadyDecidedError extends EtcdError {
  override readonly name = "AlreadyDecidedError";
  readonly code = "ETCD_ALREADY_DECIDED";
  /** The id of the confirmation. */
  readonly id: string;
  /** What was decided. */
  readonly result: ConfirmationResult;

  constructor(id: string, result: ConfirmationResult) {
    super(`${id} was decided before: ${result.decision}${result.by === undefined ? "" : ` by ${result.by}`}`);
    this.id = id;
    this.result = result;
  }
}
