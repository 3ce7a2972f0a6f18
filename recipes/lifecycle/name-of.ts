/** What a recipe is called in a sentence: where it stands in etcd, else what it is. */
export function nameOf(recipe: object): string {
  const { key, prefix, name } = recipe as Partial<Record<"key" | "prefix" | "name", unknown>>;
  const place = [key, prefix, name].find((part) => typeof part === "string");
  const kind = recipe.constructor?.name || "Object";
  return place === undefined ? kind : `${kind} ${JSON.stringify(place)}`;
}
