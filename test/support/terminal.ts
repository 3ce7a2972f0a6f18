import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "./child.ts";
import { findProgram } from "./find-program.ts";
import { until } from "./until.ts";

const tmux = findProgram("terminal", "usr/bin/tmux", "-V", "nothing is tested in a terminal");

/** Without tmux what the CLI draws cannot be looked at. */
export const canStartTerminal = tmux !== undefined;

export interface TerminalOptions {
  readonly columns: number;
  readonly rows: number;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A real terminal of a given size with a shell in it, by a tmux server of its own. The shell prints `> ` when it waits
 * for a command; what `screen()` returns is what a person sees.
 */
export class Terminal implements AsyncDisposable {
  readonly #folder: string;
  readonly #size: TerminalOptions;

  private constructor(folder: string, size: TerminalOptions) {
    this.#folder = folder;
    this.#size = size;
  }

  static async start(options: TerminalOptions): Promise<Terminal> {
    const terminal = new Terminal(await mkdtemp(join(tmpdir(), "etcd-recipes-tmux-")), options);
    const { columns, rows, env = {} } = options;
    const set = Object.entries(env).flatMap(([name, value]) => ["-e", `${name}=${value}`]);
    try {
      // tmux has the user's shell run it, and not every shell makes way by itself for the last command that it runs.
      const shell = ["-x", `${columns}`, "-y", `${rows}`, ...set, "exec sh"];
      await terminal.#tmux("-f", "/dev/null", "new-session", "-d", ...shell);
      await terminal.#tmux("set-option", "-g", "status", "off");
      await terminal.resize(columns, rows);
      // Which prompt a shell has depends on who runs it, and is not taken from the environment.
      await terminal.shows(/^[$#]/);
      await terminal.type("PS1='> '; clear");
      await terminal.shows(/^> *$/m);
      return terminal;
    } catch (error) {
      await terminal[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What is seen, line by line, as many as there are rows. @param raw with the sequences that colour it */
  async screen({ raw = false } = {}): Promise<string[]> {
    const text = await this.#tmux("capture-pane", "-p", ...(raw ? ["-e"] : []));
    return text.split("\n").slice(0, -1);
  }

  /** Waits until the screen shows this, and returns it. */
  async shows(text: string | RegExp, timeoutMs = 20_000): Promise<string[]> {
    let seen: string[] = [];
    await until(
      async () => {
        seen = await this.screen();
        const whole = seen.join("\n");
        return typeof text === "string" ? whole.includes(text) : text.test(whole);
      },
      { timeoutMs, message: () => `the screen shows ${text}:\n${seen.join("\n")}` },
    );
    return seen;
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    await this.#tmux("send-keys", "-l", line);
    await this.key("Enter");
  }

  /** One key as tmux names it: `q`, `C-c`, `Down`. */
  async key(name: string): Promise<void> {
    await this.#tmux("send-keys", name);
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.#tmux("resize-window", "-x", String(columns), "-y", String(rows));
  }

  /** Whether the alternate screen is in use, and the cursor is shown. */
  async modes(): Promise<{ alternate: boolean; cursor: boolean }> {
    const [alternate, cursor] = (await this.#tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}"))
      .trim()
      .split(" ");
    return { alternate: alternate === "1", cursor: cursor === "1" };
  }

  /** The processes that its shell has started. */
  async processes(): Promise<number[]> {
    const shell = (await this.#tmux("display-message", "-p", "#{pane_pid}")).trim();
    const children = await readFile(`/proc/${shell}/task/${shell}/children`, "utf8");
    return children.trim().split(" ").map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tmux("kill-server").catch(() => {});
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #tmux(...args: string[]): Promise<string> {
    if (!tmux) throw new Error("there is no tmux");
    const { stdout } = await run(tmux.path, ["-S", join(this.#folder, "socket"), ...args], {
      // As a person has it: what the tests were started with decides nothing about colours.
      env: { ...withoutColours(tmux.env), TERM: "screen-256color", LC_ALL: "C.UTF-8", ...this.#size.env },
    });
    return String(stdout);
  }
}

function withoutColours({ NO_COLOR: _none, FORCE_COLOR: _forced, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}
