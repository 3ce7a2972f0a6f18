import { type Command, type CommandOption, usageOf } from "./command.ts";

const exitCodes = `Exit codes: 0 done, 1 refused or not there, 2 wrong arguments, 3 etcd not reached, 4 not permitted, 75 the lock was
lost and the command was stopped, 128 + N stopped by signal N; with -- COMMAND else the command's own.`;

/** @param first the word that all of them begin with, if they are not all there is */
export function mainHelp(
  commands: readonly Command[],
  flags: Readonly<Record<string, CommandOption>>,
  first?: string,
): string {
  const program = first === undefined ? "etcd-recipes" : `etcd-recipes ${first}`;
  const names = commands.map(({ name, arguments: words }) => [name, ...words].join(" "));
  const width = Math.max(...names.map((name) => name.length));
  const lines = commands.map(({ summary }, at) => `  ${(names[at] as string).padEnd(width)}  ${summary}`);
  return `${program} COMMAND [ARGUMENT...]

${lines.join("\n")}

${program} COMMAND --help says which options a command takes.

${flagHelp(flags)}

${exitCodes}`;
}

export function commandHelp(command: Command, flags: Readonly<Record<string, CommandOption>>): string {
  const own = command.options ? `${flagHelp(command.options)}\n\n` : "";
  return `${usageOf(command)}\n\n${command.summary}\n\n${own}${flagHelp(flags)}\n\n${exitCodes}`;
}

function flagHelp(flags: Readonly<Record<string, CommandOption>>): string {
  const names = Object.entries(flags).map(([name, { short, value }]) => {
    const both = short === undefined ? `--${name}` : `-${short}, --${name}`;
    return value === undefined ? both : `${both} ${value}`;
  });
  const width = Math.max(...names.map((name) => name.length));
  return Object.values(flags)
    .map(({ help }, at) => `  ${(names[at] as string).padEnd(width)}  ${help}`)
    .join("\n");
}
