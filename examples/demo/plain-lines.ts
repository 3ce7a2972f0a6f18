import type { Display } from "./display.ts";
import type { Entry, Journal } from "./journal.ts";
import type { Stage } from "./stage.ts";
import { tasksLine } from "./tasks-line.ts";

const tasksEveryMs = 2_000;

/** One line for each thing that happens, and every two seconds how the tasks stand. No escape codes. */
export function plainLines(journal: Journal, output: NodeJS.WritableStream): Display {
  let timer: NodeJS.Timeout | undefined;
  const print = (entry: Entry) => output.write(`${toLine(entry)}\n`);
  journal.on("entry", print);
  return {
    show(stage: Stage) {
      timer = setInterval(() => {
        print({ atMs: journal.nowMs, source: "tasks", text: tasksLine(stage) });
      }, tasksEveryMs);
    },
    close() {
      clearInterval(timer);
      journal.off("entry", print);
    },
  };
}

/** The entry as a line of text; the heading of an act stands apart. */
export function toLine({ atMs, source, text }: Entry): string {
  const time = `[${(atMs / 1_000).toFixed(1).padStart(5)}s]`;
  return source === undefined ? `\n${time} == ${text}` : `${time} ${source.padEnd(12)} ${text}`;
}
