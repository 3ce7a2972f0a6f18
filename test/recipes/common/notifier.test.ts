import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { asError, type CommonEvents, isMendable, Notifier } from "../../../recipes/common/index.ts";
import { ConflictError, EtcdTimeoutError, InvalidOptionError, UnavailableError } from "../../../src/index.ts";

interface Events extends CommonEvents {
  news: [text: string];
}

class Teller extends Notifier<Events> {
  tell(text: string): void {
    this.notify("news", text);
  }
}

test("listeners are called in order, each with what is told, and one that is added meanwhile hears the next", () => {
  const teller = new Teller();
  const heard: string[] = [];
  teller.on("news", (text) => {
    heard.push(`first ${text}`);
    teller.once("news", (later) => heard.push(`added ${later}`));
  });
  teller.on("news", (text) => heard.push(`second ${text}`));
  teller.tell("a");
  expect(heard).toEqual(["first a", "second a"]);
  heard.length = 0;
  teller.removeAllListeners("news");
  teller.tell("b");
  expect(heard).toEqual([]);
});

test("with captureRejections for all emitters it still only warns", async () => {
  EventEmitter.captureRejections = true;
  try {
    const teller = new Teller();
    const warned = new Promise<Error>((resolve) => teller.once("warning", resolve));
    teller.on("news", async () => {
      throw new Error("late");
    });
    teller.tell("a");
    expect(await warned).toMatchObject({ code: "ETCD_LISTENER_FAILED" });
  } finally {
    EventEmitter.captureRejections = false;
  }
});

test("whatever is thrown becomes an error with a message", () => {
  const error = new Error("as it is");
  expect(asError(error)).toBe(error);
  for (const thrown of ["text", undefined, null, 5, Symbol("s"), Object.create(null), { a: { b: { c: {} } } }]) {
    const made = asError(thrown);
    expect(made).toBeInstanceOf(Error);
    expect(typeof made.message).toBe("string");
    expect(made.cause).toBe(thrown);
  }
});

test("what time can mend is mendable; a mistake in the program is not", () => {
  expect(isMendable(new UnavailableError("away"))).toBe(true);
  expect(isMendable(new EtcdTimeoutError("slow"))).toBe(true);
  expect(isMendable(new ConflictError("a lease id that is taken"))).toBe(true);
  expect(isMendable(new InvalidOptionError("X", "y", "is wrong"))).toBe(false);
  expect(isMendable(new TypeError("bug"))).toBe(false);
});
