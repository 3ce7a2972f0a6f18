import { EtcdClient } from "../../src/index.ts";
import { CacheExpirer } from "../cache-expirer/index.ts";
import { Cancellation } from "../cancellation/index.ts";
import { ClusterMonitor } from "../cluster-monitor/index.ts";
import { RegisteredNode } from "../cluster-monitor/internal.ts";
import { Confirmation } from "../confirmation/index.ts";
import { RegistrationGroup } from "../registration-group/index.ts";
import { RegisteredMember } from "../registration-group/internal.ts";
import { type CloseOptions, ServiceRegister } from "../service-register/index.ts";
import { Storage } from "../storage/index.ts";
import { RunningWatch } from "../storage/internal.ts";
import { ServiceList } from "../subscribe-service/index.ts";
import type { ClosableRecipe } from "./shutdown-options.ts";

/** Its `close()` takes for how long it drains, or is gone already, before it resolves. */
export interface ListedRecipe extends ClosableRecipe {
  close(options?: CloseOptions): Promise<unknown>;
}

/** What is closed together. */
export interface Stages {
  /** What others find the process by. */
  readonly listed: readonly ListedRecipe[];
  /** What the process holds or works at: locks, terms, jobs, and what is not known here. */
  readonly held: readonly ClosableRecipe[];
  /** What it knows of others. */
  readonly followed: readonly ClosableRecipe[];
  /** What all of them stand on. */
  readonly clients: readonly ClosableRecipe[];
}

interface Class {
  [Symbol.hasInstance](value: unknown): boolean;
}

const classes: Readonly<Record<keyof Omit<Stages, "held">, readonly Class[]>> = {
  listed: [ServiceRegister, RegistrationGroup, RegisteredMember, ClusterMonitor, RegisteredNode],
  followed: [ServiceList, Storage, RunningWatch, CacheExpirer, Cancellation, Confirmation],
  clients: [EtcdClient],
};

export function stagesOf(recipes: readonly ClosableRecipe[]): Stages {
  const are = (stage: keyof typeof classes) => (recipe: ClosableRecipe) =>
    classes[stage].some((of) => recipe instanceof of);
  const listed = recipes.filter(are("listed")) as ListedRecipe[];
  const followed = recipes.filter((recipe) => are("followed")(recipe) || isRead(recipe));
  const clients = recipes.filter(are("clients"));
  const known = new Set([...listed, ...followed, ...clients]);
  return { listed, held: recipes.filter((recipe) => !known.has(recipe)), followed, clients };
}

/** Mirrors and watches of a client. */
function isRead(recipe: ClosableRecipe): boolean {
  return Symbol.asyncIterator in recipe;
}
