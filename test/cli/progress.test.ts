import { expect, test } from "vitest";
import { Progress } from "../../cli/progress.ts";

function terminal(isTTY: boolean) {
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  return { written, stream };
}

test("on a terminal progress is one line, written over in place and taken away; control characters are escaped", () => {
  const { written, stream } = terminal(true);
  {
    using progress = new Progress(false, stream);
    progress.show("1 of 3 \u001b[2J");
    // Too soon to be worth a write.
    progress.show("2 of 3");
    progress.clear();
    progress.show("3 of 3");
  }
  expect(written).toEqual(["\r\u001b[K1 of 3 \\u{1b}[2J", "\r\u001b[K", "\r\u001b[K3 of 3", "\r\u001b[K"]);
});

test.each([
  [false, false],
  [true, true],
])("where stderr is a terminal: %s, and JSON is asked for: %s, nothing is written", (isTTY, json) => {
  const { written, stream } = terminal(isTTY);
  using progress = new Progress(json, stream);
  progress.show("1 of 3");
  progress.clear();
  expect(written).toEqual([]);
});
