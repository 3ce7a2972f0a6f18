import { EventEmitter } from "node:events";
import { openSync } from "node:fs";
import { expect, test } from "vitest";
import { Screen } from "../../cli/top/screen.ts";

test("keys that are read at once are several keys", () => {
  const keys = Object.assign(new EventEmitter(), { isTTY: true, setRawMode() {}, resume() {}, pause() {} });
  const out = Object.assign(new EventEmitter(), { write() {}, fd: openSync("/dev/null", "w") });
  const pressed: string[] = [];
  using _ = new Screen({
    out: out as unknown as NodeJS.WriteStream & { fd: number },
    keys: keys as unknown as typeof process.stdin,
    onKey: (key) => pressed.push(key),
    onResize() {},
  });
  for (const read of ["\x1b[B\x1b[6~\x1b[1;5Aj\x03", "jk", "ü€😀", "\n", "\x1b"]) keys.emit("data", Buffer.from(read));
  expect(pressed).toEqual(["\x1b[B", "\x1b[6~", "\x1b[1;5A", "j", "\x03", "j", "k", "ü", "€", "😀", "\n", "\x1b"]);
});
