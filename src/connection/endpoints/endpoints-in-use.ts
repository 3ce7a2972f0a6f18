import { InvalidOptionError } from "../../errors/invalid-option-error.ts";
import type { UnavailableError } from "../../errors/unavailable-error.ts";
import type { Runtime } from "../../internal/runtime.ts";
import { TlsCredentials } from "../tls/tls-credentials.ts";
import type { TlsSource } from "../tls/tls-source.ts";
import type { ConnectionNotices } from "./connection-notices.ts";
import { DialledEndpoint } from "./dialled-endpoint.ts";
import { DiscoveredEndpoint } from "./discovered-endpoint.ts";
import { Discovery } from "./discovery.ts";
import type { Endpoint, Lane } from "./endpoint.ts";
import { EndpointSet } from "./endpoint-set.ts";
import type { EndpointSource, EndpointUrl, SrvDomain } from "./endpoint-url.ts";
import { Outage } from "./outage.ts";
import type { SrvResolver } from "./srv-lookup.ts";

export interface EndpointsOptions {
  readonly endpoints: EndpointSource;
  /** How endpoints that are secured are. Where it is given, DNS may name no others. */
  readonly tls?: TlsSource | undefined;
  readonly dialTimeoutMs: number;
  readonly runtime: Runtime;
  readonly notices?: ConnectionNotices | undefined;
  /** Whether the process is warned when nothing can be reached. */
  readonly warnUnreachable: boolean;
  readonly resolver: () => SrvResolver;
}

/** Who says what the endpoints are: the user, the cluster, or DNS. */
export type EndpointOrigin = "given" | "members" | "dns";

/**
 * The endpoints of a client, which may change. What the user gives holds for good. What DNS or the member list says is
 * replaced by what they say next; DNS is asked again after the members were listed only when none of them can be
 * reached.
 *
 * What was secured by TLS once is never plain again; DNS may make a plain client a secured one.
 */
export class EndpointsInUse {
  readonly #options: EndpointsOptions;
  readonly #set: EndpointSet;
  readonly #outage: Outage;
  readonly #credentials: TlsCredentials;
  #discovery: Discovery | undefined;
  #origin: EndpointOrigin;
  #given = 0;
  /** Undefined until DNS has said it. */
  #secured: boolean | undefined;

  constructor(options: EndpointsOptions) {
    const { endpoints, runtime, tls, warnUnreachable } = options;
    this.#options = options;
    this.#credentials = new TlsCredentials(tls ?? {});
    this.#outage = new Outage(runtime.clock, warnUnreachable);
    if ("domain" in endpoints) {
      this.#origin = "dns";
      if (tls) this.#secured = true;
      this.#set = new EndpointSet([this.#discover(endpoints)], runtime);
    } else {
      this.#origin = "given";
      this.#secured = endpoints.some(({ secure }) => secure);
      this.#set = new EndpointSet(endpoints.map(this.#at), runtime);
    }
  }

  get all(): readonly Endpoint[] {
    return this.#set.all;
  }

  /** How often the user has set them. */
  get given(): number {
    return this.#given;
  }

  /** Whether they are secured by TLS. */
  get secure(): boolean {
    return this.#secured === true;
  }

  /** Why none of them can be reached, while that is so. */
  get unreached(): UnavailableError | undefined {
    return this.#outage.why(this.all);
  }

  /** Every endpoint once: the current one first, then the others in turn; those that failed lately come last. */
  inOrder(lane: Lane, after?: Endpoint): Endpoint[] {
    if (this.#discovery) this.#lookAgain(this.#discovery);
    return this.#set.inOrder(lane, after);
  }

  /** The one that the lane stays with, unless it failed lately. */
  current(lane: Lane): Endpoint | undefined {
    if (this.#discovery) this.#lookAgain(this.#discovery);
    return this.#set.current(lane);
  }

  /** Something was answered there. */
  worked(lane: Lane, endpoint: Endpoint): void {
    this.#outage.over();
    this.#set.worked(lane, endpoint);
  }

  /** One that was asked alone has answered: others may serve calls better, and it may serve no others. */
  answered(): void {
    this.#outage.over();
  }

  /** It cannot be reached, or does not serve. */
  failed(endpoint: Endpoint, error: Error): void {
    endpoint.failed();
    this.#outage.failed(endpoint.url, error, this.all);
  }

  /**
   * What stays is not touched. Calls on what goes may finish, and its streams end.
   *
   * @throws InvalidOptionError for endpoints of the other scheme
   */
  replace(urls: readonly EndpointUrl[], origin: EndpointOrigin): void {
    const secured = urls.some(({ secure }) => secure);
    const becomesSecured = origin === "dns" && secured;
    if (this.#secured !== undefined && this.#secured !== secured && !becomesSecured) {
      const scheme = this.#secured ? "https" : "http";
      const problem = `must be ${scheme}, as those that the client was made with`;
      throw new InvalidOptionError("setEndpoints", "endpoints", problem);
    }
    if (origin === "given") {
      this.#given++;
      this.#endDiscovery();
    }
    this.#secured = secured;
    this.#origin = origin;
    const known = new Map(this.all.map((endpoint) => [endpoint.url, endpoint]));
    const next = urls.map((url) => known.get(url.url) ?? this.#at(url));
    for (const endpoint of this.#set.replace(next)) endpoint.retire();
  }

  close(): void {
    this.#endDiscovery();
    for (const endpoint of this.all) endpoint.close();
  }

  readonly #at = (url: EndpointUrl): Endpoint => {
    const { dialTimeoutMs, runtime, notices } = this.#options;
    const tls = url.secure ? this.#credentials : undefined;
    return new DialledEndpoint({ url, tls, dialTimeoutMs, runtime, notices });
  };

  #discover(srv: SrvDomain): Endpoint {
    const { runtime, resolver } = this.#options;
    const discovery = new Discovery({
      srv,
      resolver: resolver(),
      runtime,
      onlySecured: () => this.secure,
      found: (endpoints) => this.replace(endpoints, "dns"),
    });
    this.#discovery = discovery;
    const unknown: Endpoint = new DiscoveredEndpoint(srv.url, runtime.clock, async (lane, waitMs) => {
      if (this.all.includes(unknown)) await discovery.first(waitMs);
      return this.#set.inOrder(lane)[0] as Endpoint;
    });
    return unknown;
  }

  /** After the members were listed DNS knows no better, unless none of those can be reached. */
  #lookAgain(discovery: Discovery): void {
    const now = this.#options.runtime.clock.monotonicMs();
    const failing = this.all.filter((endpoint) => endpoint.avoidUntilMs > now).length;
    if (this.#origin === "members" && failing < this.all.length) return;
    discovery.inUse(failing > 0);
  }

  #endDiscovery(): void {
    this.#discovery?.close();
    this.#discovery = undefined;
  }
}
