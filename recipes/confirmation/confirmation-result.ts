/** How a confirmation ended. Frozen. */
export interface ConfirmationResult {
  readonly decision: "approved" | "rejected" | "timeout";
  /** Who decided; undefined at a time-out. */
  readonly by?: string;
  readonly reason?: string;
}

/** A confirmation that waits for its decision. Frozen. */
export interface PendingConfirmation {
  readonly id: string;
  /** When it was requested, by the requester's clock: milliseconds since the epoch. */
  readonly requestedAt: number;
  /** When it times out, by the same clock. */
  readonly deadline: number;
}
