import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Term } from "../../../recipes/index.ts";
import { onAbort } from "../../../src/internal/index.ts";
import { outcomeOf } from "../../support/outcome.ts";
import { until } from "../../support/until.ts";
import { ElectionLab, recordElection } from "../candidacy/election-lab.ts";

let lab: ElectionLab;

beforeAll(async () => {
  lab = await ElectionLab.start();
});
afterEach(() => lab.clear());
afterAll(() => lab?.[Symbol.asyncDispose]());

const aborted = ({ signal }: Term) => new Promise<void>((resolve) => void onAbort(signal, resolve));
const often = { healthEverySeconds: 0.2 };

test("a leader that is not healthy resigns, and leads again once it is", async () => {
  const name = lab.newName();
  let healthy = true;
  const election = lab.election(name, "a", { health: () => healthy, ...often });
  const recorder = recordElection(election);
  const terms: Term[] = [];
  const leading = election.lead(async (term) => {
    terms.push(term);
    await aborted(term);
    return terms.length;
  });
  await until(() => terms.length === 1);
  healthy = false;
  await until(() => recorder.names.includes("resigned"));
  expect(terms[0]?.signal.reason).toMatchObject({ message: "the candidate is not healthy" });
  expect(await lab.line(name)).toEqual([]);
  healthy = true;
  await until(() => terms.length === 2);
  expect(terms[1]?.token).toBeGreaterThan(terms[0]?.token as number);
  await election.resign();
  expect(await leading).toBe(2);
  expect(recorder.names).toEqual(["elected", "resigned", "elected", "resigned"]);
});

test("who is not healthy does not stand in line, and goes out of it", async () => {
  const name = lab.newName();
  let healthy = false;
  let asked = 0;
  const health = () => {
    asked++;
    return healthy;
  };
  const holder = lab.election(name, "holder");
  void holder.lead(aborted);
  const term = await until(() => holder.term);
  const waiter = lab.election(name, "waiter", { health, ...often });
  const recorder = recordElection(waiter);
  const stop = new AbortController();
  const waited = outcomeOf(waiter.lead(aborted, { signal: stop.signal }));
  await until(() => asked >= 2);
  expect(await lab.line(name)).toEqual([term.key]);
  healthy = true;
  await until(async () => (await lab.line(name)).length === 2);
  healthy = false;
  await until(async () => (await lab.line(name)).length === 1);
  const reason = new Error("stop");
  stop.abort(reason);
  expect((await waited).error).toBe(reason);
  expect(recorder.names).toEqual([]);
  const before = asked;
  await waiter.close();
  await holder.resign();
  expect(asked).toBe(before);
});

test("a health check that throws or hangs counts as no, and is reported once", async () => {
  const name = lab.newName();
  const election = lab.election(name, "a", {
    health: () => {
      throw new Error("no disk");
    },
    ...often,
  });
  const recorder = recordElection(election);
  const led = outcomeOf(election.lead(aborted));
  await until(() => recorder.names.length > 0);
  expect(recorder.of<Error>("warning").map(({ message }) => message)).toEqual(["no disk"]);

  const hanging = lab.election(name, "b", { health: () => new Promise<boolean>(() => {}), ...often });
  const hanged = recordElection(hanging);
  const led2 = outcomeOf(hanging.lead(aborted));
  await until(() => hanged.names.length > 0);
  expect(hanged.of<Error>("warning")[0]?.message).toBe("the health check took longer than 200 ms");
  expect(await lab.line(name)).toEqual([]);
  await election.close();
  await hanging.close();
  expect((await led).error).toMatchObject({ code: "ETCD_CLOSED" });
  expect((await led2).error).toMatchObject({ code: "ETCD_CLOSED" });
  expect(recorder.names).toEqual(["warning"]);
});

test.each(["close", "resign"] as const)("a health check that calls %s() at once is heard", async (end) => {
  const name = lab.newName();
  const endings: Promise<void>[] = [];
  const health = () => {
    if (endings.length === 0) endings.push(election[end]());
    return true;
  };
  const election = lab.election(name, "a", { health, ...often });
  const { error } = await outcomeOf(election.lead(aborted));
  expect(error).toMatchObject({ code: end === "close" ? "ETCD_CLOSED" : "ETCD_FENCED_OUT" });
  await Promise.all(endings);
  expect(await lab.line(name)).toEqual([]);
});
