import { styleText } from "node:util";
import { printable } from "../printable.ts";
import { clip } from "./column.ts";

/** A line of the screen and how it is painted. */
export interface Line {
  readonly text: string;
  readonly style?: Parameters<typeof styleText>[0];
}

/** The line as it is written to a terminal, cut to `width` columns. */
export function paint({ text, style }: Line, width: number): string {
  const clipped = clip(printable(text), width);
  return style === undefined ? clipped : styleText(style, clipped);
}
