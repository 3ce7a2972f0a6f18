import { PeerError } from "./peer-error.ts";
import {
  DEFAULT_MAX_FRAME_BYTES,
  DEFAULT_WINDOW_BYTES,
  errorCode,
  LARGEST_FRAME_BYTES,
  LARGEST_WINDOW_BYTES,
  settingId,
} from "./protocol.ts";

const SETTING_BYTES = 6;

/** What the peer allows us, as it stands (RFC 9113, section 6.5.2). Each SETTINGS frame changes what it names. */
export class PeerSettings {
  headerTableBytes = 4096;
  maxConcurrentStreams = Number.POSITIVE_INFINITY;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  maxFrameBytes = DEFAULT_MAX_FRAME_BYTES;
  maxHeaderListBytes = Number.POSITIVE_INFINITY;

  /** @throws PeerError for a value that is not allowed */
  apply(bytes: Buffer, start: number, end: number): void {
    if ((end - start) % SETTING_BYTES !== 0) {
      throw new PeerError(errorCode.FRAME_SIZE_ERROR, `SETTINGS of ${end - start} bytes`);
    }
    for (let at = start; at < end; at += SETTING_BYTES) this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
  }

  #set(id: number, value: number): void {
    switch (id) {
      case settingId.HEADER_TABLE_SIZE:
        this.headerTableBytes = value;
        break;
      case settingId.ENABLE_PUSH:
        // A server has nothing to say of it but that it does not either (section 6.5.2).
        if (value !== 0) throw new PeerError(errorCode.PROTOCOL_ERROR, `the setting ENABLE_PUSH of ${value}`);
        break;
      case settingId.MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        break;
      case settingId.INITIAL_WINDOW_SIZE:
        if (value > LARGEST_WINDOW_BYTES) {
          throw new PeerError(errorCode.FLOW_CONTROL_ERROR, `the setting INITIAL_WINDOW_SIZE of ${value}`);
        }
        this.initialWindowBytes = value;
        break;
      case settingId.MAX_FRAME_SIZE:
        if (value < DEFAULT_MAX_FRAME_BYTES || value > LARGEST_FRAME_BYTES) {
          throw new PeerError(errorCode.PROTOCOL_ERROR, `the setting MAX_FRAME_SIZE of ${value}`);
        }
        this.maxFrameBytes = value;
        break;
      case settingId.MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        break;
      // What we do not know is passed over (section 6.5.2).
    }
  }
}
