/** What a codec writes: what a service says of itself, and where. */
export interface RegistrationToWrite {
  /** The whole key, a namespace of the client excluded. */
  readonly key: string;
  /** What is behind the last slash of the key. */
  readonly id: string;
  readonly address: string;
  /** At least 0; undefined when the service has not said one. */
  readonly weight: number | undefined;
  readonly draining: boolean;
  /** As JSON writes it; undefined when the service has none. Not to be changed. */
  readonly metadata: Readonly<Record<string, unknown>> | undefined;
}

/** What a codec reads. */
export interface RegistrationRead {
  readonly address: string;
  /** At least 0. @default 1 */
  readonly weight?: number | undefined;
  /** @default false */
  readonly draining?: boolean | undefined;
  /** What a metadata schema gets. @default undefined */
  readonly metadata?: unknown;
}

/**
 * A format of registrations: how a service writes its value, and how that is read.
 *
 * ```ts
 * const csv: RegistrationCodec = {
 *   name: "csv",
 *   carries: { metadata: false, draining: false },
 *   encode: ({ address, weight = 1 }) => `${address},${weight}`,
 *   decode: (value) => {
 *     const [, address, weight] = /^([^,]+),(\d+)$/.exec(value) ?? [];
 *     return address === undefined ? undefined : { address, weight: Number(weight) };
 *   },
 * };
 * ```
 *
 * Both functions must be pure: they are called at any time, also to try a value, and again for the same one.
 */
export interface RegistrationCodec {
  /** For messages; one word. */
  readonly name: string;
  /**
   * What the format has room for. What it cannot carry is refused, at construction and by `update()`; without
   * `draining`, `close({ drainMs })` deletes the key first and waits after. @default all of it
   */
  readonly carries?:
    | {
        readonly weight?: boolean | undefined;
        readonly draining?: boolean | undefined;
        readonly metadata?: boolean | undefined;
      }
    | undefined;
  /**
   * The value in etcd: well-formed text, without half of a surrogate pair. Other text, and what it throws, refuses the
   * constructor or the `update()`, as InvalidOptionError.
   */
  encode(registration: RegistrationToWrite): string;
  /**
   * @returns what the value says; undefined when it is of another format
   * @throws why a value of this format cannot be read: a list keeps it out and emits `invalid`
   */
  decode(value: string, key: string): RegistrationRead | undefined;
}

/** The formats that are known by name. */
export const formatNames = ["plain", "endpoint", "go-zero", "kratos", "kitex"] as const;

export type RegistrationFormatName = (typeof formatNames)[number];

/**
 * How a registration is written. `plain`: the bare address, as the Go engine writes it. `endpoint`: the JSON of Go's
 * `naming/endpoints`, which its gRPC resolver reads. `go-zero`: the bare address under `<key>/<number>`. `kratos`: the
 * JSON of kratos v2. `kitex`: the JSON of kitex's registry-etcd. Or a codec of one's own.
 */
export type RegistrationFormat = RegistrationFormatName | RegistrationCodec;
