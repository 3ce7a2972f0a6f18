/** One line in a plot; both axes are logarithmic, so all numbers are above 0. */
export interface Line {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly lines: readonly Line[];
}

const width = 460;
const height = 320;
const room = { left: 64, right: 16, top: 34, bottom: 78 };
const colours = ["#0b62c4", "#c4470b", "#2b8a3e", "#7b3fa0", "#8a6d00"];

/** Plots side by side, two in a row, as one SVG picture. */
export function svgOf(plots: readonly Plot[]): string {
  const columns = Math.min(2, plots.length);
  const size = { width: columns * width, height: Math.ceil(plots.length / columns) * height };
  const placed = plots.map((plot, at) => {
    const place = `translate(${(at % columns) * width} ${Math.floor(at / columns) * height})`;
    return `<g transform="${place}">\n${draw(plot)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" font-family="sans-serif" font-size="11" fill="#222">`,
    `<title>${plots.map(({ title }) => escaped(title)).join("; ")}</title>`,
    `<rect width="${size.width}" height="${size.height}" fill="#fff"/>`,
    ...placed,
    "</svg>\n",
  ].join("\n");
}

function draw({ title, x, y, lines }: Plot): string {
  const all = lines.flatMap(({ points }) => points);
  const across = logarithmic(
    all.map(([at]) => at),
    [room.left, width - room.right],
  );
  const up = logarithmic(
    all.map(([, at]) => at),
    [height - room.bottom, room.top],
  );
  const floor = height - room.bottom;
  return [
    text(width / 2, 18, title, "middle", ' font-size="13" font-weight="bold"'),
    ...across.ticks.map((tick) => rule(across.at(tick), room.top, across.at(tick), floor)),
    ...across.ticks.map((tick) => text(across.at(tick), floor + 14, short(tick), "middle")),
    ...up.ticks.map((tick) => rule(room.left, up.at(tick), width - room.right, up.at(tick))),
    ...up.ticks.map((tick) => text(room.left - 6, up.at(tick) + 4, short(tick), "end")),
    text((room.left + width - room.right) / 2, floor + 30, x, "middle"),
    text(0, 0, y, "middle", ` transform="translate(14 ${(room.top + floor) / 2}) rotate(-90)"`),
    ...lines.map(({ points }, index) => {
      const path = points.map(([px, py]) => `${across.at(px).toFixed(1)},${up.at(py).toFixed(1)}`).join(" ");
      const dots = path.split(" ").map((point) => {
        const [cx, cy] = point.split(",");
        return `<circle cx="${cx}" cy="${cy}" r="2.5" fill="${colour(index)}"/>`;
      });
      return `<polyline points="${path}" fill="none" stroke="${colour(index)}" stroke-width="1.8"/>${dots.join("")}`;
    }),
    ...lines.map(({ name }, index) => {
      const left = room.left + (index % 2) * 190;
      const top = floor + 48 + Math.floor(index / 2) * 16;
      return `<rect x="${left}" y="${top - 8}" width="10" height="10" fill="${colour(index)}"/>${text(left + 15, top + 1, name, "start")}`;
    }),
  ].join("\n");
}

/** An axis from the power of ten below the smallest to the one above the largest value. */
function logarithmic(values: readonly number[], [from, to]: readonly [number, number]) {
  const low = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index)),
    at: (value: number) => from + ((Math.log10(value) - low) / (high - low)) * (to - from),
  };
}

function rule(x1: number, y1: number, x2: number, y2: number): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="#ddd"/>`;
}

function text(x: number, y: number, content: string, anchor: "start" | "middle" | "end", more = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${more}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e3) return `${value / 1e3} k`;
  return String(Number(value.toPrecision(3)));
}

function colour(index: number): string {
  return colours[index % colours.length] as string;
}
