// What every recipe is: its client, events whose listeners cannot hurt it, and what it is a part of.
export { type CommonEvents, Notifier } from "./notifier.ts";
export { type RecipeClient, type RecipeClientOptions, recipeClient } from "./recipe-client.ts";
export { setWhole, wholeOf } from "./whole.ts";
