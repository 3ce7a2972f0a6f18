#!/usr/bin/env node
import { runCli } from "./run-cli.ts";

// What is open when a command is over is closed by then: the process ends by itself, and all that was printed has left.
process.exitCode = await runCli(process.argv.slice(2));
