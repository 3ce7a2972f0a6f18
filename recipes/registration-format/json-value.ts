/** @returns undefined for what is no JSON, or too deep to be read */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is meant as an object in JSON: no address begins like one. */
export function looksLikeObject(text: string): boolean {
  return text.trimStart().startsWith("{");
}
