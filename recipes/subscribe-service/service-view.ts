import { showAs } from "../../src/internal/index.ts";
import { ServiceList } from "./service-list.ts";
import type { ViewedServices } from "./viewed-services.ts";

/**
 * The part of a list that a filter lets through, with a strategy of its own. It costs no watch: it follows the list
 * that it is a part of, and ends with it. An instance that a change lets in emits `put`, one that it takes out
 * `delete`.
 *
 * Guaranteed and not guaranteed is what is so of the whole list. A filter that throws keeps the instance out, and emits
 * `warning`. Ejections are those of the whole list.
 */
export class ServiceView<Metadata = unknown> extends ServiceList<Metadata> {
  static {
    showAs(ServiceView, "ServiceView", (it) => ({
      prefix: it.prefix,
      status: it.status,
      revision: it.revision,
      list: it.list(),
    }));
  }

  /** @internal */
  constructor(services: ViewedServices<Metadata>) {
    super(services);
  }
}
