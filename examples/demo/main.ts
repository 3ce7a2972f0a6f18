/** The demo: `npm run demo -- --help` says what it shows. */
import { InvalidOptionError } from "etcd-recipes";
import { printable } from "../printable.ts";
import { Interrupted, onInterruption } from "./interruption.ts";
import { Journal } from "./journal.ts";
import { liveView } from "./live-view.ts";
import { type DemoOptions, help, readOptions } from "./options.ts";
import { plainLines } from "./plain-lines.ts";
import { onStage } from "./stage.ts";
import { playForever, playStory } from "./story.ts";
import { addsUp, summarize } from "./summary.ts";

/** Resolves with the exit code: 0 when the story was played and no task was lost. */
async function runDemo({ live, forever, redis }: DemoOptions, interruption: AbortSignal): Promise<number> {
  const journal = new Journal();
  const display = live ? liveView(journal, process.stdout) : plainLines(journal, process.stdout);
  interruption.addEventListener("abort", () => {
    journal.log("demo", `${interruption.reason.message}; once more ends it at once`);
  });
  const play = forever ? playForever : playStory;
  try {
    const { outcome, failure } = await onStage(journal, { redis, env: process.env }, (stage) => {
      display.show(stage);
      return play(stage, interruption);
    });
    display.close();
    const wasInterrupted = failure instanceof Interrupted;
    console.log(summarize(journal, outcome, failure === undefined));
    if (wasInterrupted) return failure.exitCode;
    if (failure !== undefined) throw failure;
    return addsUp(outcome) ? 0 : 1;
  } finally {
    display.close();
  }
}

function readOptionsOrExit(): DemoOptions {
  try {
    return readOptions(process.argv.slice(2), process.env, process.stdout.isTTY);
  } catch (error) {
    console.error(`demo: ${printable((error as Error).message)}\nTry: npm run demo -- --help`);
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
    console.error(`demo: ${printable((error as Error).message)}`);
    process.exitCode = error instanceof InvalidOptionError ? 2 : 1;
  }
}
