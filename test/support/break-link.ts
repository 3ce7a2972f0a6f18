import type { FaultProxy } from "../../testing/index.ts";
import type { Seeded } from "./seeded.ts";

/** Breaks a link in one of many ways, until `heal()`. @returns which, to be printed with a failure */
export function breakLink(proxy: FaultProxy, random: Seeded): string {
  const fault = random.pick(["blackHole", "toServer", "toClient", "delay", "cut"] as const);
  if (fault === "blackHole") proxy.blackHole();
  else if (fault === "delay") proxy.delay(random.between(5, 400));
  else if (fault === "cut") proxy.cut();
  else proxy.blackHole(fault);
  return fault;
}
