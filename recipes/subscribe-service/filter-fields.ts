import * as z from "zod/mini";
import { isPlainObject } from "../../src/internal/index.ts";

type AnyFunction<Argument> = (argument: Argument) => boolean;

const textOrTexts = "must be a string, or several";
const isFunction = (value: unknown) => typeof value === "function";
const texts = () =>
  z.union([z.string(), z.array(z.string("must be a string")).check(z.minLength(1, textOrTexts))], textOrTexts);

/** The fields of a filter, for a schema that has others, too. */
export const filterFields = () => ({
  zone: z.optional(texts()),
  version: z.optional(z.union([texts(), z.custom<AnyFunction<string>>(isFunction)], `${textOrTexts}, or a function`)),
  draining: z.optional(z.boolean("must be true or false")),
  metadata: z.optional(
    z.union(
      [z.custom<AnyFunction<unknown>>(isFunction), z.custom<Record<string, unknown>>(isPlainObject)],
      "must be an object of fields and their values, or a function",
    ),
  ),
});
