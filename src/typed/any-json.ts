import type { StandardSchema } from "../internal/standard-schema.ts";

/**
 * Takes every JSON value as it is, for `etcd.typed(anyJson)`: what is no JSON is invalid, and nothing else is looked
 * at.
 */
export const anyJson: StandardSchema<unknown> = {
  "~standard": { version: 1, vendor: "etcd-recipes", validate: (value) => ({ value }) },
};
