#!/usr/bin/env node
import { termsOf } from "./library-terms.ts";
import { noteProcessWarnings } from "./process-warnings.ts";
import { beforeDashes, runCli } from "./run-cli.ts";

/** As a shell counts SIGPIPE, which Node does not let end a process. */
const READER_GONE = 141;

// `etcd-recipes ls /svc/ | head -1`: what is printed from now on is read no more.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(READER_GONE);
});

// A service must not end because its notes are read no more.
process.stderr.on("error", () => {});

const args = process.argv.slice(2);
noteProcessWarnings(process.stderr, termsOf(beforeDashes(args)));

// What is open when a command is over is closed by then: the process ends by itself, and all that was printed has left.
process.exitCode = await runCli(args);
