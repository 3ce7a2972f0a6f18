/** How a call ended that the network did not bring through. */
export type Loss =
  /** No server began to execute it. */
  | "neverLeft"
  /** The connection broke under it: it may have been executed, or be executed later. */
  | "broken";

/** An open way for a stream: what goes in at one end comes out at the other in the same order, or not at all. */
export interface StreamPath {
  toServer(arrive: () => void): void;
  toClient(arrive: () => void): void;
  /** The client closes it. */
  close(): void;
}

/** The way from a client to one member. What neither arrives nor is lost is lost in silence. */
export interface Network {
  request(arrive: () => void, lose: (how: Loss) => void): void;
  answer(arrive: () => void, lose: (how: Loss) => void): void;
  /**
   * Dials for a stream.
   *
   * @param broke called once if it breaks; nothing arrives after that
   * @returns undefined when there is no connection within `limitMs`
   */
  connect(limitMs: number, broke: () => void): Promise<StreamPath | undefined>;
}

const soon = (arrive: () => void) => void Promise.resolve().then(arrive);

/** Brings everything through, in order and at once: a turn of the microtasks later. */
export const reliableNetwork: Network = {
  request: soon,
  answer: soon,
  async connect() {
    let open = true;
    const bring = (arrive: () => void) =>
      soon(() => {
        if (open) arrive();
      });
    return {
      toServer: bring,
      toClient: bring,
      close: () => {
        open = false;
      },
    };
  },
};
