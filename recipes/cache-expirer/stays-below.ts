/** Whether an id that is taken for a path below a folder stays below it. */
export function staysBelow(id: string): boolean {
  return !id.startsWith("/") && !id.split("/").some((part) => part === "." || part === "..");
}
