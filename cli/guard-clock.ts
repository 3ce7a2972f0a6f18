/** The clocks of a machine. */
export interface MachineClocks {
  readonly platform: NodeJS.Platform;
  monotonicMs(): number;
  /** In steps of a hundredth of a second or of a whole one. It throws where it cannot be read. */
  uptimeSeconds(): number;
}

/**
 * Makes a clock that goes on while the machine is suspended, as the leases of a server do. It counts from now on, in
 * milliseconds, and never runs backwards. On Linux it can be ahead by one step of the uptime.
 */
export function guardClock({ platform, monotonicMs, uptimeSeconds }: MachineClocks): () => number {
  const monotonicStartMs = monotonicMs();
  const monotonic = () => monotonicMs() - monotonicStartMs;
  // Elsewhere the monotonic clock counts a suspension: libuv reads mach_continuous_time() on macOS. And the uptime of
  // macOS is in whole seconds and moves with a wall clock that is set.
  if (platform !== "linux" && platform !== "android") return monotonic;
  const uptimeMs = () => {
    try {
      return uptimeSeconds() * 1_000;
    } catch {
      // A sandbox without /proc and without CLOCK_BOOTTIME.
      return Number.NaN;
    }
  };
  const uptimeStartMs = uptimeMs();
  let latestMs = 0;
  return () => {
    const awakeMs = monotonic();
    const upMs = uptimeMs() - uptimeStartMs;
    latestMs = Math.max(latestMs, awakeMs, Number.isNaN(upMs) ? awakeMs : upMs);
    return latestMs;
  };
}
