// `node scripts/release.mjs v1.2.3`: whether this checkout can be published as that version. Changes nothing.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("..", import.meta.url));
const read = (path) => readFileSync(`${checkout}${path}`, "utf8");
const [tag = ""] = process.argv.slice(2);
const manifest = JSON.parse(read("package.json"));
const problems = [];
if (tag !== `v${manifest.version}`)
  problems.push(`the tag is ${tag || "missing"}, package.json has ${manifest.version}`);
const heading = read("CHANGELOG.md").match(
  new RegExp(`^## \\[${manifest.version.replaceAll(".", "\\.")}\\] - (.+)$`, "m"),
);
if (!heading) problems.push(`CHANGELOG.md has no section [${manifest.version}]`);
else if (!/^\d{4}-\d{2}-\d{2}$/.test(heading[1]))
  problems.push(`the section of CHANGELOG.md says "${heading[1]}", not a date`);
const names = JSON.stringify([manifest.homepage, manifest.repository, manifest.bugs, manifest.author]);
if (names.includes("OWNER")) problems.push("package.json still names OWNER: replace it by who owns the repository");
for (const problem of problems) console.error(`release: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
