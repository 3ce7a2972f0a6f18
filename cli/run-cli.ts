import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type EtcdClient, EtcdError } from "../recipes/index.ts";
import { type Command, type CommandOption, type OptionValues, usageOf } from "./command.ts";
import { completionOf } from "./commands/completion.ts";
import { ofEtcd } from "./commands/index.ts";
import { connect, connectionFlags, timeoutOf } from "./connection-flags.ts";
import { exitCode, exitCodeOf, stoppedBy, UsageError } from "./exit-codes.ts";
import { commandHelp, mainHelp } from "./help.ts";
import { withFlags } from "./library-terms.ts";
import { jsonOf, Output, printable } from "./output.ts";

const commonFlags: Readonly<Record<string, CommandOption>> = {
  ...connectionFlags,
  json: { type: "boolean", help: "print JSON, a value on each line" },
  help: { type: "boolean", short: "h", help: "what a command does" },
  version: { type: "boolean", help: "the version of etcd-recipes" },
};

interface Streams {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
}

const standardStreams = (): Streams => ({ out: process.stdout, err: process.stderr });

const commands: readonly Command[] = [...ofEtcd, completionOf(ofEtcd, commonFlags)];

/** One name has one type, whichever command it belongs to. */
const everyOption: Readonly<Record<string, CommandOption>> = Object.assign(
  {},
  commonFlags,
  ...commands.map(({ options }) => options),
);

/**
 * Runs one command.
 *
 * @param args without the name of the program
 * @param streams where it prints; what draws on a terminal uses that of the process
 * @returns the exit code
 */
export async function runCli(args: readonly string[], { out, err }: Streams = standardStreams()): Promise<number> {
  const dashes = args.indexOf("--");
  const before = dashes < 0 ? args : args.slice(0, dashes);
  const after = dashes < 0 ? [] : args.slice(dashes + 1);
  const command = commandOf(wordsOf(before));
  const json = before.includes("--json");
  const output = new Output(json, out, err);
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals) => stop.abort(name);
  let etcd: EtcdClient | undefined;
  try {
    const { values, positionals } = parse(before, command);
    if (values.version) {
      output.line(version());
      return exitCode.done;
    }
    if (!command || values.help) {
      const text = command ? commandHelp(command, commonFlags) : mainHelp(commands, commonFlags);
      if (command || values.help) {
        output.line(text);
        return exitCode.done;
      }
      if (positionals.length === 0) throw new UsageError(text);
      throw new UsageError(`there is no command "${nameIn(positionals)}"; etcd-recipes --help lists them`);
    }
    const given = positionals.slice(command.name.split(" ").length);
    const [words, program] = command.program === "needed" ? [given, after] : [[...given, ...after], []];
    checkWords(command, words, program, given.length);
    const timeoutMs = timeoutOf(values);
    process.once("SIGINT", onSignal);
    process.once("SIGTERM", onSignal);
    const code = await command.run({
      words,
      program,
      options: values,
      timeoutMs,
      signal: stop.signal,
      call: { timeoutMs, signal: stop.signal },
      output,
      etcd() {
        etcd ??= connect(values, !command.showsOutages);
        return etcd;
      },
    });
    return code ?? exitCode.done;
  } catch (error) {
    if (stop.signal.aborted) return stoppedBy(stop.signal);
    report(error, output, err);
    return exitCodeOf(error);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    await etcd?.close();
  }
}

/** The arguments that are neither options nor their values. Options of every command may stand before its name. */
function wordsOf(args: readonly string[]): readonly string[] {
  return parseArgs({ args: [...args], options: everyOption, allowPositionals: true, strict: false }).positionals;
}

/** The command whose name the words begin with: the longer one of two. */
function commandOf(words: readonly string[]): Command | undefined {
  const named = (length: number) => commands.find(({ name }) => name === words.slice(0, length).join(" "));
  return named(2) ?? named(1);
}

/** What stands in the place of a command's name: two words where some names begin with the first one. */
function nameIn(words: readonly string[]): string {
  const [first = ""] = words;
  return commands.some(({ name }) => name.startsWith(`${first} `)) ? words.slice(0, 2).join(" ") : first;
}

function parse(args: readonly string[], command: Command | undefined) {
  try {
    const options = command ? { ...commonFlags, ...command.options } : everyOption;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    return { values: values as OptionValues, positionals };
  } catch (error) {
    const usage = command ? `\nusage: ${usageOf(command)}` : "";
    const { message } = error as Error;
    // It advises to put a value that begins with - behind --, where a program may stand.
    const takesValues = command && command.program !== "needed" && command.arguments.length > 0;
    throw new UsageError(`${takesValues ? message : message.split(". To specify")[0]}${usage}`);
  }
}

/** @param before how many of the words stand before `--` */
function checkWords(command: Command, words: readonly string[], program: readonly string[], before: number): void {
  const needed = command.arguments.filter((name) => !name.startsWith("["));
  const missing = needed[words.length];
  const usage = `usage: ${usageOf(command)}`;
  if (missing !== undefined) throw new UsageError(`${missing} is missing\n${usage}`);
  const tooMany = words[command.arguments.length];
  if (tooMany !== undefined) {
    const why = words.length > before ? ": it runs no command, and takes what stands after -- as arguments" : "";
    throw new UsageError(`"${tooMany}" is one argument too many${why}\n${usage}`);
  }
  if (command.program === "needed" && program.length === 0) {
    throw new UsageError(`after -- a command to run is missing\n${usage}`);
  }
}

function report(error: unknown, output: Output, err: NodeJS.WritableStream): void {
  const message = withFlags(error instanceof Error ? error.message : String(error));
  if (output.json) {
    const code = error instanceof EtcdError ? { code: error.code } : {};
    err.write(`${jsonOf({ error: message, ...code })}\n`);
    return;
  }
  const lines = message.split("\n").map(printable);
  err.write(`etcd-recipes: ${lines.join("\n")}\n`);
}

function version(): string {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
}
