/** Of a module that Nest starts last. From Nest 11 on it also ends first, before the root module. */
export const OUTERMOST = Number.NEGATIVE_INFINITY;
/** Of a module that Nest starts first, before those that are global. In Nest 10 it also ends first. */
export const INNERMOST = Number.POSITIVE_INFINITY;

/** What Nest makes of a provider; the factory of one is called as a method of this. */
interface ProviderOfModule {
  readonly host?: { distance?: unknown };
}

/**
 * Puts a module at an end of the order in which Nest calls hooks: one module after the other, by the distances from the
 * root module that Nest keeps of them. What is declared cannot change that the root is the outermost, and that what is
 * global is the innermost.
 *
 * @param provider `this` of the factory of one of the module's providers
 */
export function placeModule(provider: unknown, distance: number): void {
  const module = (provider as ProviderOfModule | undefined)?.host;
  if (typeof module?.distance === "number") module.distance = distance;
  else {
    const problem = "does not know the order of hooks of this version of Nest; modules can end while it drains";
    process.emitWarning(`EtcdRecipesModule ${problem}`, { type: "EtcdWarning" });
  }
}
