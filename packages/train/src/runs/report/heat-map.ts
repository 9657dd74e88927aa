/** @file Cells of many rows and columns as inline SVG: one path per shade, so that thousands of cells stay small. */
import { escapeHtml } from './html.ts';

export interface HeatMap {
  title: string;
  unit: string;
  /** Rows in groups with a heading each; values from -1 over 0 to 1. */
  groups: readonly { name: string; rows: readonly (readonly number[])[] }[];
  /** What the columns are, at both ends. */
  columns: { first: string; last: string; title: string };
  /** Meaning of -1, 0 and 1. */
  legend: readonly [string, string, string];
}

const WIDTH = 440;
const LEFT = 52;
const [TOP, BOTTOM] = [4, 34];
/** Shades from -1 to 1; the one in the middle is not drawn. */
export const SHADES = 9;
const MAX_HEIGHT = 360;

export function heatMap({ title, unit, groups, columns, legend }: HeatMap): string {
  const rows = groups.reduce((sum, group) => sum + group.rows.length, 0);
  const count = Math.max(0, ...groups.flatMap((group) => group.rows.map((row) => row.length)));
  if (rows === 0 || count === 0) return '';
  const gap = groups.length > 1 ? 3 : 0;
  const cellHeight = Math.max(1, Math.min(12, (MAX_HEIGHT - gap * groups.length) / rows));
  const cellWidth = (WIDTH - LEFT - 12) / count;
  const shades: string[] = Array.from({ length: SHADES }, () => '');
  const labels: string[] = [];
  let y = TOP;
  let labelledTo = Number.NEGATIVE_INFINITY;
  for (const { name, rows: own } of groups) {
    const middle = y + (own.length * cellHeight) / 2;
    if (middle - labelledTo >= 13) {
      labels.push(
        `<text class="axis" x="${LEFT - 6}" y="${cut(middle + 4)}" text-anchor="end">${escapeHtml(name)}</text>`,
      );
      labelledTo = middle;
    }
    for (const row of own) {
      for (const [shade, from, to] of runsOf(row))
        shades[shade] +=
          `M${cut(LEFT + from * cellWidth)} ${cut(y)}h${cut((to - from) * cellWidth)}v${cut(cellHeight)}H${cut(LEFT + from * cellWidth)}z`;
      y += cellHeight;
    }
    y += gap;
  }
  const height = cut(y - gap + BOTTOM);
  const floor = y - gap + 14;
  const parts = [
    `<title>${escapeHtml(`${title}, ${unit}: ${rows} rows, ${count} columns`)}</title>`,
    `<rect class="cells" x="${LEFT}" y="${TOP}" width="${cut(count * cellWidth)}" height="${cut(y - gap - TOP)}"/>`,
    ...shades.map((d, shade) => (d === '' ? '' : `<path class="s${shade}" d="${d}"/>`)),
    ...labels,
    `<text class="axis" x="${LEFT}" y="${cut(floor)}">${escapeHtml(columns.first)}</text>`,
    `<text class="axis" x="${WIDTH - 12}" y="${cut(floor)}" text-anchor="end">${escapeHtml(columns.last)}</text>`,
    `<text class="axis" x="${WIDTH - 12}" y="${height - 4}" text-anchor="end">${escapeHtml(columns.title)}</text>`,
  ];
  const swatches = Array.from({ length: SHADES }, (_, shade) => `<i class="s${shade}"></i>`).join('');
  return `<figure class="heat"><figcaption><b>${escapeHtml(title)}</b> ${escapeHtml(unit)}</figcaption><svg viewBox="0 0 ${WIDTH} ${height}" role="img" data-rows="${rows}" data-columns="${count}">${parts.join('')}</svg><div class="ramp"><span>${escapeHtml(legend[0])}</span>${swatches}<span>${escapeHtml(legend[2])}</span><small>middle: ${escapeHtml(legend[1])}</small></div></figure>`;
}

/** Neighbours of one shade together: [shade, first column, column after the last]. The middle shade is left out. */
function* runsOf(row: readonly number[]): Generator<[number, number, number]> {
  const middle = (SHADES - 1) / 2;
  const shadeOf = (value: number) => Math.round(middle * (1 + Math.min(1, Math.max(-1, value))));
  let from = 0;
  for (let i = 1; i <= row.length; i++) {
    const shade = shadeOf(row[from] as number);
    if (i < row.length && shadeOf(row[i] as number) === shade) continue;
    if (shade !== middle) yield [shade, from, i];
    from = i;
  }
}

const cut = (x: number) => Number(x.toFixed(1));
