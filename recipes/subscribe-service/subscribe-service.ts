import { showAs } from "../../src/internal/index.ts";
import { recipeClient, setWhole } from "../recipe/index.ts";
import { FollowedServices } from "./followed-services.ts";
import { type InstanceFilter, toPredicate } from "./instance-filter.ts";
import {
  type ResolvedSubscribe,
  resolveSubscribe,
  resolveView,
  type SubscribeServiceOptions,
  type ViewOptions,
} from "./options.ts";
import { ServiceList } from "./service-list.ts";
import { ServiceView } from "./service-view.ts";
import { ViewedServices } from "./viewed-services.ts";

/**
 * The list of the services under a prefix, kept true.
 *
 * ```ts
 * const services = new SubscribeService("/publictest/pipeline/", { balancer: "p2c" });
 * await services.ready;
 * services.on("change", (list) => console.log(list.map(({ address }) => address)));
 * const { address } = services.pick(); // throws NoServersError when there is none
 * await services.call(
 *   async (server, signal) => {
 *     const response = await fetch(`http://${server.address}/run`, { signal });
 *     if (response.status >= 500) throw new Error(`${server.address} answered ${response.status}`);
 *     return response;
 *   },
 *   { attempts: 3 },
 * );
 * ```
 *
 * Guaranteed: after the first, the list is one that etcd had, but for what `maxDropRatio` holds back; no change is
 * missed, whatever happens to the connection or to etcd. Events come in etcd's order, one batch after the other,
 * and the list is already the new one when they are. An instance that was deleted and made again comes as `delete`,
 * then `put`; with `maxDropRatio`, as `put` alone if it came back before its removal was emitted. In an outage the last
 * good list stays, with its age. One value that cannot be read is kept out and reported, and hurts nothing else. No
 * listener, and no promise that is not awaited, can end the process.
 *
 * Not guaranteed: that a listed service answers. A dead one stays until its lease ends: use `call()`, or `report()`.
 * Nor that every state in between comes: after an outage, and to a process that is too slow, only what differs.
 *
 * Several of one prefix and client in a process share one watch and one copy of what stands in etcd. One that joins
 * others has their list at once, of whatever age, and is `ready` and `live` when it has what etcd had when it was made.
 *
 * Errors that end it, by `failed` and by rejecting `ready`: before `ready`, `PermissionDeniedError` and
 * `UnauthenticatedError`; at any time `ClientClosedError`, and `InvalidOptionError` for a metadata schema that turns
 * out to be asynchronous. An etcd that is out of reach is retried for ever; `status` and `warning` say so. A role, a
 * user or a password that is missing after `ready` is retried so too, after pauses that grow to 30 s.
 */
export class SubscribeService<Metadata = unknown> extends ServiceList<Metadata> {
  static {
    showAs(SubscribeService, "SubscribeService", (it) => ({
      prefix: it.prefix,
      status: it.status,
      revision: it.revision,
      list: it.list(),
    }));
  }

  readonly #options: ResolvedSubscribe<Metadata>;
  readonly #services: FollowedServices<Metadata>;

  /**
   * Starts to follow at once, in the background.
   *
   * @param prefix `/svc` is read as `/svc/`, so that `/svc2/a` is no neighbour
   * @throws InvalidOptionError that names the argument or option, before any I/O
   */
  constructor(prefix: string, options: SubscribeServiceOptions<Metadata> = {}) {
    const resolved = resolveSubscribe<Metadata>(prefix, options);
    const services = new FollowedServices(resolved, recipeClient(resolved.client));
    super(services);
    this.#options = resolved;
    this.#services = services;
  }

  /** How many of the listed services are gone from etcd and held back by `maxDropRatio`. */
  get heldBack(): number {
    return this.#services.heldBack;
  }

  /**
   * A part of the list, with a strategy, events and waits of its own, and without a watch of its own. It has what is
   * listed now at once. It lives until it, or this list, is closed.
   *
   * ```ts
   * const isGold = ({ tier }) => tier === "gold";
   * const canaries = services.view({ version: "2.0.0-rc1", zone: ["a", "b"], metadata: isGold });
   * ```
   *
   * @throws InvalidOptionError; ClientClosedError after `close()`; the failure after `failed`
   */
  view(filter: InstanceFilter<Metadata>, options: ViewOptions<Metadata> = {}): ServiceView<Metadata> {
    const resolved = resolveView(filter, options, this.#options);
    this.#services.ended.throwIfAborted();
    const view = new ServiceView(new ViewedServices(this.#services, toPredicate(resolved.filter), resolved.pick));
    setWhole(view, this);
    return view;
  }

  /** Resolves when it is ready and has all that etcd had at the call, or more. @throws why it ended @internal */
  caughtUp(): Promise<void> {
    return this.#services.caughtUp();
  }
}
