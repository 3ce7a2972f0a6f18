import { type Act, seeWorkGoOn } from "./acts.ts";
import type { MasterProcess } from "./master-process.ts";
import type { Stage } from "./stage.ts";

/** All programs are there, and tasks flow. */
export function tasksFlow(stage: Stage): Act {
  const { fleet, services, workload } = stage;
  return {
    title: "three masters register, a scheduler is elected, tasks flow",
    async play(see) {
      for (const _ of [1, 2, 3]) fleet.startMaster();
      for (const _ of [1, 2]) fleet.startScheduler();
      const listed = await see("three masters are in the list", () => services.list().length === 3);
      await see("a scheduler leads", () => fleet.leader !== undefined);
      workload.start();
      await see("each master has done a task", () => fleet.masters.every(({ done }) => done > 0));
      await seeWorkGoOn(see, stage);
      return `masters listed after ${listed} s, ${fleet.leader?.id} leads, tasks flow`;
    },
  };
}

export function killMaster(stage: Stage): Act {
  const { fleet, services, ledger, journal } = stage;
  const victim = busiestMaster(stage);
  return {
    title: `${victim.id} is killed by SIGKILL`,
    async play(see) {
      await see(`${victim.id} has a task`, () => victim.inFlight.size > 0);
      const orphans = [...victim.inFlight];
      journal.log(victim.id, `killed with ${orphans.length} tasks in hand; its lease has up to 3 s`);
      await victim.kill();
      fleet.startMaster();
      const seconds = await see(`${victim.id} is out of the list`, () => !isListed(stage, victim));
      await see("others did its tasks", () => orphans.every((id) => isOver(ledger.state(id))));
      await see("a new master is in the list", () => services.list().length === 3);
      return `${victim.id} unlisted after ${seconds} s, others did its ${orphans.length} tasks`;
    },
  };
}

export function drainMaster(stage: Stage): Act {
  const { fleet, services, journal } = stage;
  const leaving = busiestMaster(stage);
  return {
    title: `${leaving.id} is drained by SIGTERM`,
    async play(see) {
      await see(`${leaving.id} has a task`, () => leaving.inFlight.size > 0);
      const [inHand, doneBefore] = [leaving.inFlight.size, leaving.done];
      journal.log(leaving.id, `asked to leave with ${inHand} tasks in hand`);
      const gone = leaving.stop();
      fleet.startMaster();
      const seconds = await see(`${leaving.id} has left`, () => leaving.state === "left");
      await gone;
      await see(`${leaving.id} is out of the list`, () => !isListed(stage, leaving));
      await see("a new master is in the list", () => services.list().length === 3);
      await seeWorkGoOn(see, stage);
      return `${leaving.id} finished its ${leaving.done - doneBefore} tasks and left after ${seconds} s`;
    },
  };
}

export function killLeader(stage: Stage): Act {
  const { fleet, journal } = stage;
  return {
    title: "the leading scheduler is killed by SIGKILL",
    async play(see) {
      await see("a scheduler leads", () => fleet.leader !== undefined);
      const victim = fleet.leader;
      if (victim === undefined) throw new Error("there is no leader");
      journal.log(victim.id, `killed; it led with token ${victim.token}, for up to 3 s yet`);
      await victim.kill();
      fleet.startScheduler();
      const seconds = await see("the other scheduler leads", () => fleet.leader !== undefined);
      await seeWorkGoOn(see, stage);
      return `${fleet.leader?.id} leads after ${seconds} s, token ${fleet.leader?.token}, tasks go on`;
    },
  };
}

function busiestMaster({ fleet }: Stage): MasterProcess {
  const [busiest] = fleet.masters.filter(({ isUp }) => isUp).sort((a, b) => b.inFlight.size - a.inFlight.size);
  if (busiest === undefined) throw new Error("no master is left");
  return busiest;
}

function isListed({ services }: Stage, { id }: MasterProcess): boolean {
  return services.list().some((instance) => instance.id === id);
}

function isOver(state: string | undefined): boolean {
  return state === "done" || state === "cancelled" || state === "dead";
}
