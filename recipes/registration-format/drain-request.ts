import * as z from "zod/mini";
import { once } from "../../src/internal/index.ts";
import { decodeRegistration } from "./decode.ts";

/**
 * What an operator asks of the owner of a registration, written into its value: that it drains, or no longer does.
 * Readers see the new `draining` at once; the owner makes it its own by writing its value again, without the request.
 */
export interface DrainRequest {
  readonly draining: boolean;
  /** Who asks, as that says of itself; at most 256 characters. */
  readonly by: string;
}

/** Beside `Metadata`, where Go and older versions leave alone what they do not know. */
const requestName = "etcd-recipes/drain";

const requestSchema = once(() =>
  z.object({
    [requestName]: z.object({
      by: z.pipe(
        z.string(),
        z.transform((by: string) => by.slice(0, 256)),
      ),
    }),
  }),
);

/** @returns undefined for a value that asks for nothing, or that cannot be read */
export function readDrainRequest(text: string): DrainRequest | undefined {
  // Every value that an owner sees of itself is looked at, and nearly none has one.
  if (!text.includes(requestName)) return undefined;
  try {
    const request = requestSchema().safeParse(JSON.parse(text));
    if (!request.success) return undefined;
    const { draining } = decodeRegistration(text);
    return Object.freeze({ draining, by: request.data[requestName].by });
  } catch {
    return undefined;
  }
}
