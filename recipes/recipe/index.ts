// What every recipe is: its client, and events whose listeners cannot hurt it.
export { type CommonEvents, Notifier } from "./notifier.ts";
export { type RecipeClient, type RecipeClientOptions, recipeClient } from "./recipe-client.ts";
