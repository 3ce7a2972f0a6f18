// Following what stands under a prefix or a key: the list, every change, and how new that is.
export { PrefixFollower } from "./prefix-follower.ts";
export { untilGone } from "./until-gone.ts";
