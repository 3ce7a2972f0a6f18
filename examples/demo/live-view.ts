import type { WriteStream } from "node:tty";
import type { Display } from "./display.ts";
import { drawFrame } from "./frame.ts";
import type { Journal } from "./journal.ts";
import { toLine } from "./plain-lines.ts";
import type { Stage } from "./stage.ts";

const codes = {
  enter: "\x1b[?1049h\x1b[?25l", // the alternate screen, no cursor
  leave: "\x1b[?25h\x1b[?1049l",
  home: "\x1b[H",
  restOfLine: "\x1b[K",
  restOfScreen: "\x1b[J",
};

const drawEveryMs = 100;

/**
 * A view on a screen of its own, redrawn in place. When it closes, the lines of the journal stay on the normal screen.
 */
export function liveView(journal: Journal, terminal: WriteStream): Display {
  let stage: Stage | undefined;
  let open = true;
  const draw = () => {
    // A terminal that is slower than the view gets fewer frames.
    if (terminal.writableNeedDrain) return;
    const lines = drawFrame(journal, stage, terminal).map((line) => line + codes.restOfLine);
    terminal.write(codes.home + lines.join("\n") + codes.restOfScreen);
  };
  const close = () => {
    if (!open) return;
    open = false;
    clearInterval(timer);
    terminal.off("resize", draw);
    process.off("exit", close);
    terminal.write(`${codes.leave}${journal.entries.map(toLine).join("\n")}\n`);
  };
  const timer = setInterval(draw, drawEveryMs);
  terminal.on("resize", draw);
  // Also when an exception or a second Ctrl-C ends the process.
  process.on("exit", close);
  terminal.write(codes.enter);
  draw();
  return {
    show(newStage) {
      stage = newStage;
    },
    close,
  };
}
