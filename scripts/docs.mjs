// `npm run docs`: the site in build/site: the API reference that typedoc makes of the doc comments, and the pages of
// docs/. typedoc needs a TypeScript of its own, so it lives in scripts/docs, apart from the dependencies of the
// checkout. Fails on a warning of typedoc's, and on a link that leads nowhere.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const home = fileURLToPath(new URL("docs", import.meta.url));
const site = fileURLToPath(new URL("../build/site", import.meta.url));

function run(program, args) {
  // npm passes its own project on to the npm that it runs.
  const { status, error } = spawnSync(program, args, { cwd: home, stdio: "inherit" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${error?.message ?? `exit code ${status}`}`);
}

/** The links of all pages that lead to no file, or to no heading of it. */
function brokenLinks() {
  const pages = readdirSync(site, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".html"))
    .map((path) => join(site, path));
  const anchors = new Map(
    pages.map((page) => [
      page,
      new Set([...readFileSync(page, "utf8").matchAll(/ id="([^"]+)"/g)].map(([, id]) => id)),
    ]),
  );
  return pages.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/ (?:href|src)="([^"]+)"/g)]
      .map(([, link]) => decodeURI(link.replaceAll("&amp;", "&")))
      .filter((link) => {
        if (/^[a-z]+:/.test(link)) return false;
        const [path, anchor] = link.split("#");
        const target = path === "" ? page : resolve(dirname(page), path);
        if (!existsSync(target)) return true;
        return Boolean(anchor) && anchors.get(target)?.has(anchor) === false;
      })
      .map((link) => `${relative(site, page)}: ${link}`),
  );
}

if (!existsSync(join(home, "node_modules/typedoc"))) {
  run("npm", ["ci", "--prefix", home, "--include=dev", "--no-audit", "--no-fund"]);
}
rmSync(site, { recursive: true, force: true });
run(process.execPath, ["node_modules/typedoc/bin/typedoc", "--options", "typedoc.json"]);
const broken = brokenLinks();
if (broken.length > 0) {
  console.error(`links that lead nowhere:\n${broken.join("\n")}`);
  process.exitCode = 1;
}
