import { ClientClosedError, ConflictError, type EtcdClient } from "../../src/index.ts";
import { type Clock, quietDeferred, runtimeOf, showAs } from "../../src/internal/index.ts";
import { resolveClose } from "../registration/internal.ts";
import type { RegistrationCodec, RegistrationFormat } from "../registration-format/index.ts";
import { codecOf } from "../registration-format/internal.ts";
import { type CloseOptions, type RegisterStatus, ServiceRegister } from "../service-register/index.ts";
import type { MetadataSchema } from "../subscribe-service/index.ts";
import type { Membership } from "./membership.ts";
import type { NodeMetadata } from "./node-metadata.ts";
import { addressIn, checkInfo } from "./options.ts";

export interface RegisteredNodeParts<Info> {
  readonly etcd: EtcdClient;
  readonly prefix: string;
  readonly ttlSeconds: number;
  readonly schema: MetadataSchema<Info> | undefined;
  readonly format: "endpoint" | RegistrationCodec | undefined;
  /** Resolves when the list has what etcd had at the call. */
  caughtUp(): Promise<void>;
  onWarning(error: Error): void;
  onLeft(): void;
}

/** A membership on a ServiceRegister. */
export class RegisteredNode<Info> implements Membership<Info> {
  static {
    showAs(RegisteredNode, "Membership", (it) => ({ name: it.name, status: it.status }));
  }

  readonly name: string;
  readonly ready: Promise<void>;
  readonly #parts: RegisteredNodeParts<Info>;
  readonly #clock: Clock;
  readonly #upSince: number;
  readonly #register: ServiceRegister;
  /** Rejects when it will not come into the list any more. */
  readonly #end = quietDeferred<never>();
  /** When it began to leave, if it drains. */
  #leavingAt: number | undefined;

  /** @throws InvalidOptionError */
  constructor(name: string, info: Info, parts: RegisteredNodeParts<Info>) {
    this.name = name;
    this.#parts = parts;
    const first = checkInfo("ClusterMonitor.join", parts.schema, info);
    this.#clock = runtimeOf(parts.etcd).clock;
    this.#upSince = this.#clock.wallMs();
    this.#register = new ServiceRegister(`${parts.prefix}${name}`, this.#addressOf(first), parts.ttlSeconds, {
      client: parts.etcd,
      format: nodeCodec(parts.format, () => this.#leavingAt),
      foreignFormats: "ignore",
      metadata: { ...this.#metadataOf(first, this.#upSince) },
      // A node that restarts within its TTL takes its own key over: changed, and never down.
      onConflict: "replace",
    });
    // A list that has ended comes to nothing any more; the node is there all the same.
    const listed = () => Promise.race([parts.caughtUp().catch(() => {}), this.#end.promise]);
    this.ready = this.#register.ready.then(listed);
    this.ready.catch(() => {});
    this.#register.on("failed", this.#end.reject);
    this.#register.on("warning", parts.onWarning);
    // The list ends with a closed client as well, which `failed` says.
    this.#register.on("failed", (error) => !(error instanceof ClientClosedError) && parts.onWarning(error));
    // A conflict is reported once, whether or not the node was in the list.
    this.#register.on("lost", (error) => !(error instanceof ConflictError) && parts.onWarning(error));
    this.#register.on("conflict", () => parts.onWarning(new ConflictError(`another process has joined as ${name}`)));
  }

  get status(): RegisterStatus {
    return this.#register.status;
  }

  update(info: Info): Promise<void> {
    const updated = this.#update(info);
    // One that is not awaited ends no process when this is closed.
    updated.catch(() => {});
    return updated;
  }

  async #update(info: Info): Promise<void> {
    const next = checkInfo("Membership.update", this.#parts.schema, info);
    const metadata = { ...this.#metadataOf(next, this.#clock.wallMs()) };
    return this.#register.update({ address: this.#addressOf(next), metadata });
  }

  async leave(options: CloseOptions = {}): Promise<void> {
    const { drainMs } = resolveClose("Membership.leave", options);
    this.#end.reject(new ClientClosedError(`${this.name} has left`));
    if (drainMs > 0) this.#leavingAt ??= this.#clock.wallMs();
    await this.#register.close(options);
    this.#parts.onLeft();
  }

  close(options: CloseOptions = {}): Promise<void> {
    return this.leave(options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  #addressOf(info: Info): string {
    return addressIn(info) ?? this.name;
  }

  #metadataOf(info: Info, changedAt: number): NodeMetadata<Info> {
    return { info, upSince: this.#upSince, changedAt };
  }
}

/**
 * What the address of an info looks like is its own business: a URL is fine. That it drains as it leaves is news, too,
 * and comes with the info that etcd has by then, whatever it refused.
 */
function nodeCodec(format: RegistrationFormat | undefined, leavingAt: () => number | undefined): RegistrationCodec {
  const codec = codecOf(format ?? "endpoint");
  return {
    name: codec.name,
    carries: codec.carries,
    encode: (registration) => {
      const changedAt = registration.draining ? leavingAt() : undefined;
      if (changedAt === undefined) return codec.encode(registration);
      return codec.encode({ ...registration, metadata: { ...registration.metadata, changedAt } });
    },
    decode: (value, key) => codec.decode(value, key),
  };
}
