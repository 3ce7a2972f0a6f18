import { type Act, seeWorkGoOn } from "./acts.ts";
import type { Stage } from "./stage.ts";

/** The one of etcd's members that leads is killed, and later it comes back. */
export function killMember(stage: Stage): Act {
  const { etcd, services, journal } = stage;
  const { own } = etcd;
  const victim = own?.leader ?? own?.members.find(({ state }) => state === "running");
  if (own === undefined || victim === undefined) throw new Error("no member of etcd runs");
  return {
    title: `the leader of etcd, ${victim.name}, is killed by SIGKILL, and comes back`,
    async play(see) {
      journal.log("etcd", `member ${victim.name} killed, two of three are left`);
      await victim.kill();
      const seconds = await see("another member of etcd leads", () => own.leader !== undefined);
      await seeWorkGoOn(see, stage);
      const leader = own.leader?.name;
      await victim.restart();
      journal.log("etcd", `member ${victim.name} serves again`);
      await see("the list is live", () => services.status === "live" && services.list().length === 3);
      await seeWorkGoOn(see, stage);
      return `${leader} led after ${seconds} s, tasks went on; ${victim.name} is back`;
    },
  };
}
