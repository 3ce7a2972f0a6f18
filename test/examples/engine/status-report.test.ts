import type { PutOp, Term } from "etcd-recipes";
import { expect, test } from "vitest";
import { StatusReport } from "../../../examples/engine/scheduler/status-report.ts";
import { settled } from "../../support/fake-clock.ts";

test("what it says last is written last, after what is on its way", async () => {
  const begun: unknown[] = [];
  const answers: (() => void)[] = [];
  const term = {
    token: 7,
    txn: ([op]: readonly [PutOp]) => {
      begun.push(JSON.parse(Buffer.from(op.value).toString()));
      return new Promise<void>((resolve) => answers.push(resolve));
    },
  } as unknown as Term;
  const report = new StatusReport(
    term,
    () => ({}),
    () => {},
  );
  const closed = report[Symbol.asyncDispose]();
  await settled();
  expect(begun).toEqual([{ token: 7, isOver: false }]);
  answers[0]?.();
  await settled();
  answers[1]?.();
  await closed;
  expect(begun).toEqual([
    { token: 7, isOver: false },
    { token: 7, isOver: true },
  ]);
});
