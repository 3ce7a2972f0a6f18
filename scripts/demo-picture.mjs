// Draws docs/demo.svg, the picture in README.md: a terminal that plays the lines of a real run of the demo again. The
// same run makes the same picture.
//
//   node scripts/demo-picture.mjs               runs `npm run demo -- --plain`, keeps what it prints in docs/demo.txt
//   node scripts/demo-picture.mjs --from FILE   keeps and draws the run that FILE has
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const checkout = fileURLToPath(new URL("..", import.meta.url));

const columns = 108;
const rows = 20;
const lineHeight = 18;
/** Of most fonts of fixed width, at 13 px. */
const charWidth = 7.82;
const padding = 16;
const titleHeight = 34;
/** The picture plays so many times faster than the run was, rests on its end, and begins again. */
const speed = 2;
const restSeconds = 8;

/** A line of the demo begins with the seconds since its start. */
const timed = /^\[ *([\d.]+)s\] /;

/** @param run what the demo printed. @returns an SVG */
export function drawDemo(run) {
  const lines = linesOf(run);
  const endSeconds = (lines.at(-1)?.seconds ?? 0) + restSeconds;
  const percent = (seconds) => `${Number(((100 * seconds) / endSeconds).toFixed(2))}%`;
  const moments = [...new Set(lines.map(({ seconds }) => seconds))];
  const [width, height] = [Math.round(columns * charWidth) + 2 * padding, rows * lineHeight + titleHeight + padding];

  const texts = lines.map(({ seconds, text, kind }, row) => {
    const classes = [`t${moments.indexOf(seconds)}`, ...(kind ? [kind] : [])].join(" ");
    return `<text y="${(row + 1) * lineHeight - 4}" class="${classes}">${escaped(text)}</text>`;
  });
  const shows = moments.slice(1).map((seconds, index) => {
    const steps = `0%{opacity:0}${percent(seconds)}{opacity:1}to{opacity:1}`;
    return `text.t${index + 1}{animation-name:k${index + 1}}@keyframes k${index + 1}{${steps}}`;
  });
  const scrolls = new Map([["0%", 0]]);
  for (const seconds of moments) {
    const shown = lines.filter((line) => line.seconds <= seconds).length;
    if (shown > rows) scrolls.set(percent(seconds), (shown - rows) * -lineHeight);
  }
  const scrolled = `transform:translateY(${-Math.max(0, lines.length - rows) * lineHeight}px)`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>npm run demo: an engine on three members of etcd, and what happens when its parts are killed</title>
<style>
text{fill:#1f2328;white-space:pre;font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace}
.window{fill:#fff;stroke:#d0d7de}.bar,.title{fill:#59636e}.bar{opacity:.15}.act{font-weight:bold;fill:#0969da}.bad{fill:#cf222e}.good{fill:#1a7f37}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.window{fill:#0d1117;stroke:#3d444d}.bar,.title{fill:#9198a1}.act{fill:#4493f8}.bad{fill:#f85149}.good{fill:#3fb950}}
.lines,.lines text{animation:${endSeconds.toFixed(2)}s step-end infinite}
.lines{${scrolled};animation-name:scroll}
@keyframes scroll{${[...scrolls].map(([at, by]) => `${at}{transform:translateY(${by}px)}`).join("")}to{${scrolled}}}
${shows.join("\n")}
@media(prefers-reduced-motion:reduce){.lines,.lines text{animation:none}}
</style>
<rect class="window" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
<rect class="bar" x="1" y="1" width="${width - 2}" height="${titleHeight - 8}" rx="7"/>
<text class="title" x="${width / 2}" y="18" text-anchor="middle">npm run demo</text>
<svg x="${padding}" y="${titleHeight}" width="${width - 2 * padding}" height="${rows * lineHeight}" xml:space="preserve" aria-hidden="true"><g class="lines">
${texts.join("\n")}
</g></svg>
</svg>
`;
}

/** What the demo printed, in lines that fit, each with its moment and what kind of news it is. */
function linesOf(run) {
  let seconds = 0;
  return run.split("\n").map((line) => {
    const [, at] = timed.exec(line) ?? [];
    if (at !== undefined) seconds = Number(at) / speed;
    const text = line.length > columns ? `${line.slice(0, columns - 1)}…` : line;
    return { seconds, text, kind: kindOf(line) };
  });
}

function kindOf(line) {
  if (/\] == /.test(line)) return "act";
  if (/\] (result|summary)|^ {2}- |^summary/.test(line)) return "good";
  return /\bkilled\b|\blost [1-9]/.test(line) ? "bad" : undefined;
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function runDemo() {
  const demo = spawnSync("npm", ["run", "--silent", "demo", "--", "--plain"], {
    cwd: checkout,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (demo.status !== 0) throw new Error(`the demo ended with ${demo.status ?? demo.signal}:\n${demo.stdout}`);
  return demo.stdout;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values } = parseArgs({ options: { from: { type: "string" } } });
  const printed = values.from === undefined ? runDemo() : readFileSync(values.from, "utf8");
  // Without what the setup and the build print before.
  const lines = printed.trimEnd().split("\n");
  const run = lines.slice(lines.findIndex((line) => timed.test(line))).join("\n");
  writeFileSync(`${checkout}docs/demo.txt`, `${run}\n`);
  writeFileSync(`${checkout}docs/demo.svg`, drawDemo(run));
}
