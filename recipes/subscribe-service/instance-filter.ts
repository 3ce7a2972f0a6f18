import type { ServiceInstance } from "./service-instance.ts";

/** Written as a method, so that a list of some metadata can be given where one of any metadata is wanted. */
type MetadataTest<Metadata> = { test(metadata: Metadata): boolean }["test"];

/** Some fields of the metadata and what they must be, or a function that decides. */
export type MetadataFilter<Metadata> =
  | MetadataTest<Metadata>
  | (Metadata extends object ? Readonly<Partial<Metadata>> : Readonly<Record<string, unknown>>);

/** Which instances are wanted: those for which everything holds that is given. All may be left out. */
export interface InstanceFilter<Metadata = unknown> {
  /** What `metadata.zone` is, or one of several. */
  zone?: string | readonly string[] | undefined;
  /**
   * What `metadata.version` is, one of several, or a function of it: `(version) => semver.satisfies(version, "^2")`.
   */
  version?: string | readonly string[] | ((version: string) => boolean) | undefined;
  draining?: boolean | undefined;
  /** Fields are compared with `===`; a function decides whatever it likes. */
  metadata?: MetadataFilter<Metadata> | undefined;
}

/** One function of all that a filter asks for. It throws what a function of the user's own throws. */
export function toPredicate<Metadata>({
  zone,
  version,
  draining,
  metadata,
}: InstanceFilter<Metadata>): (instance: ServiceInstance<Metadata>) => boolean {
  const tests: ((instance: ServiceInstance<Metadata>) => boolean)[] = [];
  if (draining !== undefined) tests.push((instance) => instance.draining === draining);
  if (zone !== undefined) {
    const zones = new Set<unknown>([zone].flat());
    tests.push((instance) => zones.has(fieldOf(instance.metadata, "zone")));
  }
  if (typeof version === "function") {
    tests.push((instance) => {
      const given = fieldOf(instance.metadata, "version");
      return typeof given === "string" && version(given);
    });
  } else if (version !== undefined) {
    const versions = new Set<unknown>([version].flat());
    tests.push((instance) => versions.has(fieldOf(instance.metadata, "version")));
  }
  if (typeof metadata === "function") tests.push((instance) => metadata(instance.metadata));
  else if (metadata !== undefined) {
    const wanted = Object.entries(metadata);
    tests.push((instance) => wanted.every(([name, value]) => fieldOf(instance.metadata, name) === value));
  }
  return (instance) => tests.every((holds) => holds(instance));
}

/** Of its own, not of its prototype: metadata is what anybody wrote. */
function fieldOf(metadata: unknown, name: string): unknown {
  return typeof metadata === "object" && metadata !== null && Object.hasOwn(metadata, name)
    ? (metadata as Record<string, unknown>)[name]
    : undefined;
}
