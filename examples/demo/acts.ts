import type { Stage } from "./stage.ts";

/** Resolves when `condition` holds; rejects, naming `what`, when it does not within the limit. */
export type See = (what: string, condition: () => boolean, limitSeconds?: number) => Promise<void>;

/** One act of the demo: something is done, and its effects are waited for. */
export interface Act {
  readonly title: string;
  /** Resolves with what came of it, in a sentence. */
  play(see: See): Promise<string>;
}

const enoughAnswers = 5;

/** All masters that run are in the list, and each of them answers. */
export function steadyState({ masters, scheduler }: Stage): Act {
  return {
    title: "three masters register, requests go to them in turn",
    async play(see) {
      while (masters.running.length < 3) masters.start();
      const { running } = masters;
      const ids = running.map(({ id }) => id);
      await see("three masters are in the list", () => scheduler.services.list().length === ids.length);
      const enough = ids.map((id) => scheduler.tally(id).answered + enoughAnswers);
      await see("each master answers", () => ids.every((id, at) => scheduler.tally(id).answered >= (enough[at] ?? 0)));
      return `${ids.length} masters are in the list, and each of them answers`;
    },
  };
}

export function killMaster({ masters, scheduler, journal }: Stage): Act {
  const [victim] = masters.running;
  if (victim === undefined) throw new Error("no master is left that could be killed");
  const { id } = victim;
  return {
    title: `${id} is killed by SIGKILL`,
    async play(see) {
      const { counts, services } = scheduler;
      const retriedBefore = counts.retried;
      journal.tell(id, "killed; it cannot deregister, its lease has up to 5 s left");
      const killedMs = journal.nowMs;
      await victim.kill();
      await see(`${id} is out of the list`, () => !services.list().some((instance) => instance.id === id));
      const seconds = ((journal.nowMs - killedMs) / 1_000).toFixed(1);
      const answeredBefore = counts.answered;
      await see("the other masters answer", () => counts.answered >= answeredBefore + enoughAnswers);
      return `${id} unlisted after ${seconds} s; others took its ${counts.retried - retriedBefore} requests`;
    },
  };
}

export function killLeadingMember({ etcd: { own }, masters, scheduler, journal }: Stage): Act {
  const victim = own?.leader;
  if (own === undefined || victim === undefined) throw new Error("no member of etcd is known to lead");
  return {
    title: `the leader of etcd, ${victim.name}, is killed by SIGKILL`,
    async play(see) {
      const { counts, services } = scheduler;
      const answeredBefore = counts.answered;
      journal.tell("etcd", `member ${victim.name} killed, two of three are left`);
      const killedMs = journal.nowMs;
      await victim.kill();
      await see("another member of etcd leads", () => own.leader !== undefined);
      const seconds = ((journal.nowMs - killedMs) / 1_000).toFixed(1);
      await see("the list is live", () => services.status === "live");
      await see("the masters answer", () => counts.answered >= answeredBefore + enoughAnswers);
      return `${own.leader?.name} leads after ${seconds} s; ${services.list().length} of ${masters.running.length} masters stayed in the list`;
    },
  };
}

export function startMaster({ masters, scheduler, journal }: Stage): Act {
  return {
    title: "a new master starts and gets its share",
    async play(see) {
      const { services } = scheduler;
      const startedMs = journal.nowMs;
      const { id } = masters.start();
      await see(`${id} is in the list`, () => services.list().some((instance) => instance.id === id));
      const seconds = ((journal.nowMs - startedMs) / 1_000).toFixed(1);
      await see(`${id} answers`, () => scheduler.tally(id).answered >= enoughAnswers);
      return `${id} is in the list after ${seconds} s, and answers`;
    },
  };
}

export function bringMemberBack({ etcd: { own }, scheduler, journal }: Stage): Act {
  const member = own?.members.find(({ state }) => state === "stopped");
  if (own === undefined || member === undefined) throw new Error("no member of etcd is down");
  return {
    title: `member ${member.name} of etcd comes back`,
    async play(see) {
      const { counts, services } = scheduler;
      const answeredBefore = counts.answered;
      const startedMs = journal.nowMs;
      await member.restart();
      const seconds = ((journal.nowMs - startedMs) / 1_000).toFixed(1);
      journal.tell("etcd", `member ${member.name} serves`);
      await see("the list is live", () => services.status === "live");
      await see("the masters answer", () => counts.answered >= answeredBefore + enoughAnswers);
      return `${member.name} serves after ${seconds} s; all ${own.members.length} members are up`;
    },
  };
}
