// Following what stands under a prefix or a key: the list, every change, and how new that is.
// A recipe that lives on what it follows has a PrefixFollower; a wait or a loop of its own reads followRange().
export { followRange } from "./follow-range.ts";
export { LOOK_AGAIN_MS } from "./look-again.ts";
export { type FollowNews, PrefixFollower } from "./prefix-follower.ts";
export { untilGone } from "./until-gone.ts";
