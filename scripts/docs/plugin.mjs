// What typedoc does not do by itself: a page of docs/ is named by its first heading, not by its file, and stands in the
// menu with the others of its folder.
import { basename, dirname } from "node:path";
import { Converter } from "typedoc";

const groups = { guides: "Guides", reference: "Reference", design: "Design", docs: "Protocol and versions" };

export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    page.frontmatter.group = groups[basename(dirname(app.files.getReflectionPath(page)))];
    const [first] = page.content;
    const [heading, title] = (first?.kind === "text" && /^# (.+)\n/.exec(page.content.map(asText).join(""))) || [];
    if (title === undefined) throw new Error(`${page.name} does not begin with a heading`);
    page.name = title.replaceAll("`", "");
    // The theme prints the name. Code in the heading is a part of its own.
    for (let left = heading.length; left > 0; left -= cut(page.content[0], left)) {
      if (page.content[0].text === "") page.content.shift();
    }
  });
}

function asText({ text }) {
  return text;
}

/** Takes up to `length` characters off the front. @returns how many */
function cut(part, length) {
  const taken = part.text.slice(0, length);
  part.text = part.text.slice(taken.length);
  return taken.length;
}
