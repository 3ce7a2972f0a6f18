/** The lines of a page outside of its blocks of code, counted from 1. */
export function proseLines(text: string): { readonly line: number; readonly text: string }[] {
  let fenced = false;
  return text.split("\n").flatMap((content, index) => {
    const isFence = content.trimStart().startsWith("```");
    if (isFence) fenced = !fenced;
    return isFence || fenced ? [] : [{ line: index + 1, text: content }];
  });
}

/** The anchors of a page's headings, as GitHub makes them. */
export function headingAnchors(text: string): string[] {
  const seen = new Map<string, number>();
  return proseLines(text).flatMap(({ text: content }) => {
    const [, title] = /^#+ (.+)$/.exec(content) ?? [];
    if (title === undefined) return [];
    const anchor = slug(title);
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    return [times === 0 ? anchor : `${anchor}-${times}`];
  });
}

function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, "")
    .replaceAll(" ", "-");
}
