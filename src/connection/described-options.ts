import type { CallMessage } from "../internal/channel-messages.ts";
import type { CallOptions } from "../model/call-options.ts";

/** A call that is described already, by the message that is here: it is filled, and not published. */
export interface DescribedOptions extends CallOptions {
  readonly described?: CallMessage | undefined;
}
