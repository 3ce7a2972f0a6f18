import { EtcdError } from "../../recipes/index.ts";
import { exitCode, exitCodeOf } from "../exit-codes.ts";
import type { Section } from "./snapshot.ts";
import type { Source } from "./source.ts";

/** A section that is read again and again, by requests that cost etcd little. */
export class Polled implements Source {
  readonly ready: Promise<void>;
  readonly #look: () => Promise<Section>;
  readonly #startMs = performance.now();
  #isReady: () => void = () => {};
  #isRefused: (error: unknown) => void = () => {};
  #section: Section | undefined;
  #readAtMs: number | undefined;
  #problem: string | undefined;

  /** @param look reads it anew */
  constructor(look: () => Promise<Section>) {
    this.#look = look;
    this.ready = new Promise<void>((resolve, reject) => {
      this.#isReady = resolve;
      this.#isRefused = reject;
    });
    this.ready.catch(() => {});
  }

  get ageMs(): number {
    return this.#problem === undefined && this.#section ? 0 : performance.now() - (this.#readAtMs ?? this.#startMs);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  async refresh(): Promise<void> {
    try {
      this.#section = await this.#look();
      this.#readAtMs = performance.now();
      this.#problem = undefined;
      this.#isReady();
    } catch (error) {
      this.#problem = (error as Error).message;
      // What etcd refuses from the start is no outage.
      if (!(error instanceof EtcdError) || exitCodeOf(error) !== exitCode.unreachable) this.#isRefused(error);
    }
  }

  read(): Section | undefined {
    return this.#section;
  }

  async close(): Promise<void> {}
}
