import { type EtcdClient, type ServiceInstance, SubscribeService } from "../../recipes/index.ts";
import type { ServiceRow, ServicesSection } from "./snapshot.ts";
import type { Source } from "./source.ts";

/** The services below a prefix, by a watch: how many they are costs nothing while they stay. */
export class WatchedServices implements Source {
  readonly #services: SubscribeService;
  readonly #startMs = performance.now();
  /** When those came that were not there at the start, by key. */
  readonly #sinceMs = new Map<string, number>();
  #problem: string | undefined;

  constructor(prefix: string, client: EtcdClient) {
    this.#services = new SubscribeService(prefix, { client });
    this.#services.on("warning", (error) => {
      this.#problem = error.message;
    });
    this.#services.ready.then(
      () => this.#noteArrivals(),
      () => {},
    );
  }

  /** @throws why it will never be: not permitted */
  get ready(): Promise<void> {
    return this.#services.ready;
  }

  get ageMs(): number {
    return this.#services.staleForMs;
  }

  get problem(): string | undefined {
    return this.ageMs > 0 ? this.#problem : undefined;
  }

  /** A watch sees to it. */
  async refresh(): Promise<void> {}

  read(): ServicesSection {
    const nowMs = performance.now();
    const rows = this.#services.list().map((instance) => this.#rowOf(instance, nowMs));
    return { type: "services", name: this.#services.prefix, rows };
  }

  async close(): Promise<void> {
    await this.#services.close();
  }

  #noteArrivals(): void {
    this.#services.on("put", ({ key, createRevision }, previous) => {
      if (previous?.createRevision !== createRevision) this.#sinceMs.set(key, performance.now());
    });
    this.#services.on("delete", ({ key }) => this.#sinceMs.delete(key));
  }

  #rowOf({ key, id, address, weight, draining, metadata }: ServiceInstance, nowMs: number): ServiceRow {
    const sinceMs = this.#sinceMs.get(key);
    const ageMs = Math.round(nowMs - (sinceMs ?? this.#startMs));
    return { id, address, weight, zone: zoneOf(metadata), draining, ageMs, olderThanAge: sinceMs === undefined };
  }
}

function zoneOf(metadata: unknown): string | undefined {
  if (typeof metadata !== "object" || metadata === null || !("zone" in metadata)) return undefined;
  return typeof metadata.zone === "string" ? metadata.zone : undefined;
}
