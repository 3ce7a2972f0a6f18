/** One step of a pipeline, done by one master. */
export interface Task {
  /** Names the task for good: what is done under it once need not be done again. Part of keys in etcd. */
  readonly id: string;
  /** What is cancelled together. A name is for one run of a pipeline. */
  readonly pipelineId: string;
  /** Whose build cache it uses. */
  readonly project: string;
  /** How long the work takes. */
  readonly durationMs: number;
  /** It must be approved first, within this time. */
  readonly confirmWithinSeconds?: number;
  /** The work fails, and says this: for demos and tests. */
  readonly failsWith?: string;
}

/** What a master answers. `failed`: the task itself did; another master would come to the same. */
export type TaskResult =
  | { readonly state: "done"; readonly by: string; readonly repeated?: true }
  | { readonly state: "cancelled"; readonly reason: string }
  | { readonly state: "failed"; readonly reason: string };

/** It will never be a task, however often it is tried. */
export class MalformedTaskError extends Error {
  override readonly name = "MalformedTaskError";
}

type Field = keyof Task;

/** Of a reason, in characters: it is part of a record in etcd, which takes 1.5 MiB at most. */
export const longestReason = 1_000;

/** A day in milliseconds; in seconds, a thousand days. */
const most = 86_400_000;

const fields: Record<Field, (value: unknown) => string | undefined> = {
  id: checkName,
  pipelineId: checkName,
  project: (value) => checkName(value) ?? (isFolderName(String(value)) ? undefined : "must be a folder's name"),
  durationMs: (value) => (isWhole(value, 0) ? undefined : "must be a whole number, from 0 to a day in milliseconds"),
  confirmWithinSeconds: (value) =>
    value === undefined || isWhole(value, 1) ? undefined : `must be a whole number of seconds, from 1 to ${most}`,
  failsWith: (value) =>
    value === undefined || (typeof value === "string" && value.length <= longestReason)
      ? undefined
      : `must be a string of at most ${longestReason} characters`,
};

/** Of one folder, in the folder that it is looked for in. */
export function isFolderName(name: string): boolean {
  return /^[\w.-]{1,255}$/.test(name) && name !== "." && name !== "..";
}

/** @throws MalformedTaskError that says what is wrong with it */
export function parseTask(text: string): Task {
  const value = readJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new MalformedTaskError("a task is a JSON object");
  }
  const task = value as Record<string, unknown>;
  for (const [field, check] of Object.entries(fields)) {
    const wrong = check(task[field]);
    if (wrong) throw new MalformedTaskError(`${field} ${wrong}`);
  }
  const unknown = Object.keys(task).find((field) => !Object.hasOwn(fields, field));
  if (unknown !== undefined) throw new MalformedTaskError(`a task has no ${unknown}`);
  return task as unknown as Task;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new MalformedTaskError("not JSON");
  }
}

function checkName(value: unknown): string | undefined {
  if (typeof value !== "string" || value === "") return "must be a string that is not empty";
  if (value.length > 200) return "must have at most 200 characters";
  if (value.startsWith("/") || /[\s\p{C}\ufffd]/u.test(value))
    return "must have no slash at its beginning, no white space and no U+FFFD";
  return undefined;
}

function isWhole(value: unknown, least: number): boolean {
  return Number.isInteger(value) && (value as number) >= least && (value as number) <= most;
}
