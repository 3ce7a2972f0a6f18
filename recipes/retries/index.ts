// Retries: what fails is tried again after growing random delays, and warns of the same failure once.
export { retry } from "./retry.ts";
export { RetryPause } from "./retry-pause.ts";
export { WarnOnce } from "./warn-once.ts";
