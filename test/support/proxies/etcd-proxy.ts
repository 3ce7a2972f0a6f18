import type { EtcdClientOptions } from "../../../src/index.ts";

/** What stands between a client and an etcd, and speaks HTTP/2 to both. */
export interface EtcdProxy extends AsyncDisposable {
  /** Its URL. */
  readonly endpoint: string;
  /** Leads a client to it, and to nothing else; says whom to trust there. */
  readonly clientOptions: EtcdClientOptions;
  /** Another one takes over in an orderly way, as when its configuration was changed. */
  reload(): Promise<void>;
  /** It is killed, and started again. */
  crash(): Promise<void>;
}
