import { expect, test } from "vitest";
import { ConfirmationView } from "../../../recipes/confirmation/confirmation-view.ts";
import type { KeyValue, MirrorBatch } from "../../../src/index.ts";

const prefix = "/confirm/";
const kv = (part: string, value: object | "" = "") =>
  ({ key: `${prefix}run/${part}`, text: value === "" ? "" : JSON.stringify(value) }) as KeyValue;
const request = (requestedAt: number) => kv("request", { requestedAt, deadline: requestedAt + 1_000 });
const decision = (by: string) => kv("decision", { decision: "approved", by });

function view() {
  const received: string[] = [];
  const seen = new ConfirmationView(prefix);
  const apply = (puts: KeyValue[], deletes: KeyValue[] = []) => {
    for (const news of seen.apply({ type: "changes", revision: 1, puts, deletes } as MirrorBatch)) {
      if (news.type === "requested") received.push(`requested at ${news.pending.requestedAt}`);
      if (news.type === "decided") received.push(`decided by ${news.result.by}`);
      if (news.type === "warning") received.push(news.error.message);
    }
  };
  return { received, apply, seen };
}

test("what expired and was made again within one batch is reported as a new one", () => {
  const { received, apply } = view();
  apply([request(1), kv("pending")]);
  apply([request(2), kv("pending")], [request(1), kv("pending")]);
  apply([decision("alice")], [kv("pending")]);
  apply([request(3), decision("bob")], [request(2), decision("alice")]);
  expect(received).toEqual(["requested at 1", "requested at 2", "decided by alice", "decided by bob"]);
});

test("one whose keys go one by one is reported once, and then forgotten", () => {
  const { received, apply, seen } = view();
  apply([request(1), kv("pending")]);
  expect(seen.isRunning("run")).toBe(true);
  apply([], [kv("pending")]);
  expect(seen.isRunning("run")).toBe(false);
  apply([decision("alice"), request(1)]);
  apply([], [request(1), decision("alice")]);
  apply([decision("alice")]);
  expect(received).toEqual(["requested at 1", "decided by alice", "decided by alice"]);
});
