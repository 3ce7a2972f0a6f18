import type { Command } from "../command.ts";
import { commonFlagsOf } from "../common-flags.ts";
import { UsageError } from "../exit-codes.ts";

/** Prints what a shell needs to complete the names of commands and options. */
export function completionOf(commands: readonly Command[]): Command {
  const self: Command = {
    name: "completion",
    arguments: ["SHELL"],
    summary: "for bash, zsh or fish: source <(etcd-recipes completion bash)",
    connects: false,
    async run({ words: [shell = ""], output }) {
      const words = [...new Set(commands.map(({ name }) => name.split(" ")[0] as string)), "completion"];
      const second = new Map<string, string[]>();
      for (const { name } of commands) {
        const [first = "", next] = name.split(" ");
        if (next) second.set(first, [...(second.get(first) ?? []), next]);
      }
      const flagsOf = (first: string) => {
        const named = [...commands, self].filter(({ name }) => name.split(" ")[0] === first);
        const own = named.flatMap(({ options }) => Object.keys(options ?? {}));
        const common = named.flatMap((command) => Object.keys(commonFlagsOf(command)));
        return [...new Set([...own, ...common])].map((name) => `--${name}`);
      };
      const scripts: Readonly<Record<string, () => string>> = {
        bash: () => bash(words, second, flagsOf),
        zsh: () => `autoload -U +X bashcompinit && bashcompinit\n${bash(words, second, flagsOf)}`,
        fish: () => fish(words, second, flagsOf),
      };
      const script = scripts[shell];
      if (!script) throw new UsageError(`SHELL is bash, zsh or fish, not "${shell}"`);
      output.line(script());
      return undefined;
    },
  };
  return self;
}

type Lookup = (first: string) => string[];

function bash(words: readonly string[], second: ReadonlyMap<string, readonly string[]>, flagsOf: Lookup): string {
  const cases = words.map(
    (word) => `    ${word}) words="${[...(second.get(word) ?? []), ...flagsOf(word)].join(" ")}" ;;`,
  );
  return `_etcd_recipes() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
    *) words="${words.join(" ")}" ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words="${words.join(" ")}"
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _etcd_recipes etcd-recipes`;
}

function fish(words: readonly string[], second: ReadonlyMap<string, readonly string[]>, flagsOf: Lookup): string {
  const lines = [`complete -c etcd-recipes -f -n __fish_use_subcommand -a "${words.join(" ")}"`];
  for (const word of words) {
    const seen = `-n "__fish_seen_subcommand_from ${word}"`;
    const next = second.get(word);
    if (next) lines.push(`complete -c etcd-recipes -f ${seen} -a "${next.join(" ")}"`);
    for (const flag of flagsOf(word)) lines.push(`complete -c etcd-recipes ${seen} -l ${flag.slice(2)}`);
  }
  return lines.join("\n");
}
