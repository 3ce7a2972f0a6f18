import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type EtcdClient, EtcdError } from "../recipes/index.ts";
import { type Command, type CommandOption, type OptionValues, usageOf } from "./command.ts";
import { completionOf } from "./commands/completion.ts";
import { ofEtcd } from "./commands/index.ts";
import { commonFlags, commonFlagsOf } from "./common-flags.ts";
import { connect, timeoutOf } from "./connection-flags.ts";
import { emptyArgument, exitCode, exitCodeOf, stoppedBy, UsageError } from "./exit-codes.ts";
import { commandHelp, mainHelp } from "./help.ts";
import { type InOurTerms, termsOf } from "./library-terms.ts";
import { jsonOf, Output, printable } from "./output.ts";

interface Streams {
  readonly out: NodeJS.WriteStream;
  readonly err: NodeJS.WriteStream;
}

const standardStreams = (): Streams => ({ out: process.stdout, err: process.stderr });

const commands: readonly Command[] = [...ofEtcd, completionOf(ofEtcd)];

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
  const before = beforeDashes(args);
  const after = args.slice(before.length + 1);
  const all = wordsOf(before);
  // `help ls` is `ls --help`.
  const helps = all[0] === "help";
  const command = commandOf(helps ? all.slice(1) : all);
  const json = before.includes("--json");
  const inOurTerms = termsOf(before);
  const output = new Output(json, out, err, inOurTerms);
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals) => stop.abort(name);
  let etcd: EtcdClient | undefined;
  try {
    const { values, positionals } = parse(before, command);
    if (values.version) {
      output.line(version());
      return exitCode.done;
    }
    if (command && (values.help || helps)) {
      output.line(commandHelp(command, commonFlagsOf(command)));
      return exitCode.done;
    }
    if (!command) {
      const named = helps ? positionals.slice(1) : positionals;
      const group = named.length === 1 ? groupOf(named[0] as string) : [];
      if (group.length > 0 && (values.help || helps)) {
        const connects = group.some((each) => each.connects !== false);
        output.line(mainHelp(group, commonFlagsOf({ connects }), named[0]));
        return exitCode.done;
      }
      const text = mainHelp(commands, commonFlags);
      if (values.help || (helps && named.length === 0)) {
        output.line(text);
        return exitCode.done;
      }
      if (positionals.length === 0) throw new UsageError(text);
      throw new UsageError(noCommand(named));
    }
    const given = positionals.slice(command.name.split(" ").length);
    const [words, program] = command.program === "needed" ? [given, after] : [[...given, ...after], []];
    checkWords(command, words, program, given.length);
    checkValues(command, values);
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
    report(error, output.json, err, inOurTerms);
    return exitCodeOf(error);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
    await etcd?.close();
  }
}

/** What stands after `--` is not of this program. */
export function beforeDashes(args: readonly string[]): readonly string[] {
  const dashes = args.indexOf("--");
  return dashes < 0 ? args : args.slice(0, dashes);
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

/** The commands of two words that begin with this one. */
function groupOf(first: string): readonly Command[] {
  return commands.filter(({ name }) => name.startsWith(`${first} `));
}

/** What is wrong with words that name no command. Of two words the first one may be right. */
function noCommand([first = "", second]: readonly string[]): string {
  const names = groupOf(first).map(({ name }) => name);
  if (names.length === 0) return `there is no command "${first}"; etcd-recipes --help lists them`;
  const problem = second === undefined ? `"${first}" needs a second word` : `there is no command "${first} ${second}"`;
  return `${problem}; there is ${names.join(", ")}`;
}

function parse(args: readonly string[], command: Command | undefined) {
  const options = command ? { ...commonFlags, ...command.options } : everyOption;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    return { values: values as OptionValues, positionals };
  } catch (error) {
    const usage = command ? `\nusage: ${usageOf(command)}` : "";
    const { message, code } = error as Error & { code?: string };
    const flag = /--[\w-]+/.exec(message)?.[0];
    if (code === "ERR_PARSE_ARGS_INVALID_OPTION_VALUE" && flag !== undefined) {
      const takesNone = options[flag.slice(2)]?.type === "boolean";
      const problem = takesNone
        ? `${flag} takes no value`
        : `${flag} needs a value; one that begins with - is given as ${flag}=-...`;
      throw new UsageError(`${problem}${usage}`);
    }
    const [problem = ""] = message.split(". To specify");
    // A value that begins with - stands behind --, where a program may stand, too.
    const takesValues = problem !== message && command && command.program !== "needed" && command.arguments.length > 0;
    const advice = takesValues ? "; an argument that begins with - stands after --" : "";
    throw new UsageError(`${problem}${advice}${usage}`);
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
  for (const [at, word] of words.entries()) {
    const name = command.arguments[at] ?? "";
    if (word === "" && !mayBeEmpty.has(name)) throw new UsageError(emptyArgument(name.replace(/^\[|\]$/g, "")));
  }
  if (command.program === "needed" && program.length === 0) {
    throw new UsageError(`after -- a command to run is missing\n${usage}`);
  }
  if (program[0] === "") throw new UsageError(emptyArgument("COMMAND"));
}

/** What is text, and no name. */
const mayBeEmpty: ReadonlySet<string> = new Set(["VALUE", "[REASON]"]);

/** Values of a form of their own: what reads them refuses an empty one with that form. */
const haveForm: ReadonlySet<string> = new Set(["TIME", "N", "JSON", "URL"]);

/** A variable of a script that is not set makes empty values: none of them is as good as left out. */
function checkValues(command: Command, values: OptionValues): void {
  const options = { ...commonFlags, ...command.options };
  const own = { ...commonFlagsOf(command), ...command.options };
  for (const [name, given] of Object.entries(values)) {
    if (!(name in own)) throw new UsageError(`--${name} is of no use to ${command.name}, which asks no etcd`);
    const { value = "" } = options[name] ?? {};
    if ([given].flat().includes("") && !haveForm.has(value)) throw new UsageError(`--${name} must not be empty`);
  }
}

function report(error: unknown, json: boolean, err: NodeJS.WritableStream, inOurTerms: InOurTerms): void {
  const message = inOurTerms(error instanceof Error ? error.message : String(error));
  if (json) {
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
