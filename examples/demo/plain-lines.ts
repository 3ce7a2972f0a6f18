import type { Display } from "./display.ts";
import type { Entry, Journal } from "./journal.ts";
import type { Stage } from "./stage.ts";

const answersEveryMs = 2_000;

/** One line for each thing that happens, and every two seconds who answered what. No escape codes. */
export function plainLines(journal: Journal, output: NodeJS.WritableStream): Display {
  let timer: NodeJS.Timeout | undefined;
  const print = (entry: Entry) => output.write(`${toLine(entry)}\n`);
  journal.on("entry", print);
  return {
    show(stage) {
      const newAnswers = answerCounter(stage);
      timer = setInterval(() => {
        const text = newAnswers();
        if (text !== "") print({ atMs: journal.nowMs, source: "scheduler", text });
      }, answersEveryMs);
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
  return source === undefined ? `\n${time} == ${text}` : `${time} ${source.padEnd(10)} ${text}`;
}

/** Counts who answered how many requests since it was last asked. */
function answerCounter({ masters, scheduler }: Stage): () => string {
  const told = new Map<string, number>();
  return () => {
    const parts = masters.all.flatMap(({ id }) => {
      const { answered } = scheduler.tally(id);
      const fresh = answered - (told.get(id) ?? 0);
      told.set(id, answered);
      return fresh > 0 ? `${id} ${fresh}` : [];
    });
    return parts.length > 0 ? `answered by ${parts.join(", ")}; ${scheduler.counts.sent} sent so far` : "";
  };
}
