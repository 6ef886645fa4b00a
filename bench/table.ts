type Cell = string | number;

/** Prints figures as a Markdown table, columns aligned. */
export function printTable(title: string, heads: readonly string[], rows: readonly (readonly Cell[])[]): void {
  const texts = [heads, ...rows].map((row) => row.map(textOf));
  const widths = heads.map((_, column) => Math.max(3, ...texts.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, column) => aligned(text, widths[column] ?? 0, column)).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head = [], ...body] = texts;
  console.log([`\n${title}\n`, line(head), rule, ...body.map(line)].join('\n'));
}

const aligned = (text: string, width: number, column: number): string =>
  column === 0 ? text.padEnd(width) : text.padStart(width);

/** Three significant digits, whole numbers whole. */
function textOf(cell: Cell): string {
  if (typeof cell === 'string' || Number.isNaN(cell)) return String(cell);
  if (Number.isInteger(cell) || Math.abs(cell) >= 100) return Math.round(cell).toLocaleString('en');
  return String(Number(cell.toPrecision(cell < 0.1 ? 1 : cell < 1 ? 2 : 3)));
}
