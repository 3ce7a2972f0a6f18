/** The demo: `npm run demo -- --help` says what it shows. */
import { Interrupted, onInterruption } from "./interruption.ts";
import { Journal } from "./journal.ts";
import { liveView } from "./live-view.ts";
import { type DemoOptions, help, readOptions } from "./options.ts";
import { plainLines } from "./plain-lines.ts";
import { onStage } from "./stage.ts";
import { playStory } from "./story.ts";
import { summarize } from "./summary.ts";

/** Resolves with the exit code: 0 when the story was played and no request was lost. */
async function runDemo({ live, forever }: DemoOptions, interruption: AbortSignal): Promise<number> {
  const journal = new Journal();
  const display = live ? liveView(journal, process.stdout) : plainLines(journal, process.stdout);
  interruption.addEventListener("abort", () => {
    journal.tell("demo", `${interruption.reason.message}; once more ends it at once`);
  });
  let counts = { sent: 0, answered: 0, retried: 0, lost: 0 };
  let exitCode = 0;
  try {
    await onStage(journal, process.env, async (stage) => {
      counts = stage.scheduler.counts;
      display.show(stage);
      do await playStory(stage, interruption);
      while (forever);
    });
  } catch (error) {
    if (error instanceof Interrupted) exitCode = forever ? 0 : error.exitCode;
    else throw error;
  } finally {
    display.close();
  }
  console.log(summarize(journal, counts));
  return counts.lost > 0 ? 1 : exitCode;
}

function readOptionsOrExit(): DemoOptions {
  try {
    return readOptions(process.argv.slice(2), process.env, process.stdout.isTTY);
  } catch (error) {
    console.error(`demo: ${(error as Error).message}\nTry: npm run demo -- --help`);
    process.exit(2);
  }
}

const options = readOptionsOrExit();
if (options.help) {
  console.log(help);
} else {
  try {
    process.exitCode = await runDemo(options, onInterruption());
  } catch (error) {
    console.error(`demo: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
