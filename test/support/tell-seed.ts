import { relative } from "node:path";
import { beforeEach } from "vitest";
import { drawnSeed } from "./seeded.ts";

// A test that fails in a file that draws random numbers says how to draw the same ones again.
beforeEach(({ onTestFailed, task }) => {
  onTestFailed(() => {
    const seed = drawnSeed();
    if (seed === undefined) return;
    const { filepath, projectName } = task.file;
    const project = projectName === undefined ? "" : ` --project ${projectName}`;
    console.error(`to repeat: TEST_SEED=${seed} npx vitest run${project} ${relative(process.cwd(), filepath)}`);
  });
});
