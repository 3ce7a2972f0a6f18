import type { AdminProtocol, Protocol } from "../connection/index.ts";
import { errorOfCall } from "../errors/of-call.ts";
import type { Runtime } from "../internal/runtime.ts";
import type { CallOptions } from "../model/call-options.ts";

/** What the parts of the administration share. */
export interface AdminParts {
  readonly protocol: Protocol;
  readonly runtime: Runtime;
  /** @throws ClientClosedError */
  checkOpen(call: string): void;
}

/** Makes calls of operators on a client that is open; what they fail with names the call, and what it was about. */
export class AdminCalls {
  readonly #parts: AdminParts;

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  /** The URLs of the client's endpoints. */
  get endpoints(): readonly string[] {
    return this.#parts.protocol.endpoints.map(({ url }) => url);
  }

  /** @param about such as the name of a user; never a password */
  async run<Result>(
    call: string,
    about: string | undefined,
    options: CallOptions | undefined,
    work: (admin: AdminProtocol) => Promise<Result>,
  ): Promise<Result> {
    this.#parts.checkOpen(call);
    try {
      return await work(this.#parts.protocol.admin);
    } catch (error) {
      throw errorOfCall(() => (about === undefined ? call : `${call} ${about}`), error, options?.signal);
    }
  }
}
