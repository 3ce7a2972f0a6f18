/**
 * Shares the lines of a screen: what needs less than its fair share leaves the rest to the others, the first of which
 * get what cannot be shared evenly.
 *
 * @param needs how many lines each would fill
 * @returns how many each gets; no more than it needs, and together no more than there are
 */
export function shareRows(lines: number, needs: readonly number[]): readonly number[] {
  const shares = needs.map(() => 0);
  let left = Math.max(0, lines);
  let hungry = needs.map((_, at) => at).filter((at) => (needs[at] ?? 0) > 0);
  while (left > 0 && hungry.length > 0) {
    const fair = Math.max(1, Math.floor(left / hungry.length));
    for (const at of hungry) {
      const given = Math.min(fair, (needs[at] ?? 0) - (shares[at] ?? 0), left);
      shares[at] = (shares[at] ?? 0) + given;
      left -= given;
    }
    hungry = hungry.filter((at) => (shares[at] ?? 0) < (needs[at] ?? 0));
  }
  return shares;
}
