import {
  type GroupMember,
  RegistrationGroup,
  type RegistrationGroupOptions,
} from "../../../recipes/registration-group/index.ts";
import { viewOf } from "../../support/etcd-view.ts";
import type { RegistryLab } from "../../support/registry-lab.ts";
import { until } from "../../support/until.ts";

export const memberEvents = ["registered", "lost", "conflict", "status", "failed", "warning", "closed"];
export const groupEvents = ["registered", "lost", "conflict", "memberFailed", "failed", "warning", "closed"];

/** A group that the lab closes. */
export function groupOf(
  lab: RegistryLab,
  prefix: string,
  ttl: number,
  options: RegistrationGroupOptions = {},
): RegistrationGroup {
  const group = new RegistrationGroup(prefix, ttl, { client: lab.etcd, ...options });
  lab.also(() => group.close());
  return group;
}

export function addressOf(index: number): string {
  return `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:80`;
}

export function registerMany(group: RegistrationGroup, count: number, from = 0): GroupMember[] {
  return Array.from({ length: count }, (_, index) => group.register(`m${from + index}`, addressOf(from + index)));
}

/** Waits until exactly this stands under the prefix, and everybody in the group knows it. */
export async function untilThere(
  lab: RegistryLab,
  group: RegistrationGroup,
  wanted: Record<string, string>,
  timeoutMs = 30_000,
): Promise<void> {
  let there: Record<string, string> = {};
  const same = async () => {
    there = await viewOf(lab.etcd, group.prefix);
    const ids = Object.keys(wanted);
    return Object.keys(there).length === ids.length && ids.every((id) => there[id] === wanted[id]);
  };
  const differing = () => {
    const ids = new Set([...Object.keys(there), ...Object.keys(wanted)]);
    return [...ids].filter((id) => there[id] !== wanted[id]).map((id) => `${id}: ${there[id]}, not ${wanted[id]}`);
  };
  await until(same, { timeoutMs, message: () => differing().join("; ").slice(0, 500) });
  await until(() => group.members.every(({ status }) => status === "registered"), {
    message: () =>
      group.members
        .map(({ id, status }) => `${id} ${status}`)
        .join()
        .slice(0, 500),
  });
}

export function viewFor(members: readonly GroupMember[]): Record<string, string> {
  return Object.fromEntries(members.map(({ id }) => [id, addressOf(Number(id.slice(1)))]));
}
