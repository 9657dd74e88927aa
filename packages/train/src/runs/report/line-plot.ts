/**
 * @file Lines over steps as inline SVG. Colours come from classes of the page; a script of the page reads `data-axes` to show
 * the values under the pointer.
 */
import { figure, shortNumber } from './format.ts';
import { escapeHtml } from './html.ts';
import { linearScale, logScale, type Scale } from './scale.ts';

export interface PlotLine {
  name: string;
  /** [x, y] in order of x. */
  points: readonly (readonly [number, number])[];
  /** Colour of the page, from 0. */
  color: number;
  /** `faint`: behind the others, without a legend; `dots`: points that were measured now and then. */
  look?: 'faint' | 'dots' | undefined;
}

/** A tick on the x axis. */
export interface PlotMark {
  x: number;
  kind: 'saved' | 'warning' | 'bad';
  title: string;
}

export interface LinePlot {
  title: string;
  unit: string;
  lines: readonly PlotLine[];
  marks?: readonly PlotMark[] | undefined;
  isLog?: boolean | undefined;
  /** Lower end of y. */
  from?: number | undefined;
  xTitle?: string | undefined;
  /** Of values beside the y axis. */
  format?: ((value: number) => string) | undefined;
}

const [WIDTH, HEIGHT] = [440, 230];
const PAD = { left: 52, right: 12, top: 10, bottom: 34 };
export const COLORS = 6;

/** One figure; nothing where there is no point. */
export function linePlot(plot: LinePlot): string {
  const lines = plot.lines.filter(({ points }) => points.length > 0);
  const points = lines.flatMap((line) => line.points);
  if (points.length === 0) return '';
  const ys = points.map(([, y]) => y);
  const x = linearScale(
    points.map(([px]) => px),
    5,
    0,
  );
  const y = plot.isLog ? logScale(ys) : linearScale(clipped(ys), 4, plot.from);
  const atX = (value: number) => PAD.left + x.at(value) * (WIDTH - PAD.left - PAD.right);
  const atY = (value: number) =>
    HEIGHT - PAD.bottom - Math.min(1, Math.max(0, y.at(value))) * (HEIGHT - PAD.top - PAD.bottom);
  const format = plot.format ?? figure;
  const [first, last] = [points[0] as readonly [number, number], points.at(-1) as readonly [number, number]];
  const name = `${plot.title}, ${plot.unit}`;
  const parts = [
    `<title>${escapeHtml(`${name}: from ${format(first[1])} to ${format(last[1])}`)}</title>`,
    ...gridOf(x, y, atX, atY, format),
    `<text class="axis" x="${WIDTH - PAD.right}" y="${HEIGHT - 4}" text-anchor="end">${plot.xTitle ?? 'step'}</text>`,
    ...(plot.marks ?? []).map(
      ({ x: step, kind, title }) =>
        `<path class="mark ${kind}" d="M${cut(atX(step))} ${HEIGHT - PAD.bottom}v${kind === 'saved' ? -5 : -12}"><title>${escapeHtml(title)}</title></path>`,
    ),
    ...lines.map((line) => drawLine(line, atX, atY)),
  ];
  const axes = [
    x.low,
    x.high,
    y.low,
    y.high,
    y.isLog ? 1 : 0,
    PAD.left,
    WIDTH - PAD.right,
    PAD.top,
    HEIGHT - PAD.bottom,
  ];
  const svg = `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" data-axes="${axes.map(cut6).join(' ')}">${parts.join('')}</svg>`;
  const shown = lines.filter(({ look }) => look !== 'faint');
  const legend =
    shown.length > 1
      ? `<ul class="legend">${shown.map(({ name: of, color, look }) => `<li class="c${color % COLORS}${look ? ` ${look}` : ''}">${escapeHtml(of)}</li>`).join('')}</ul>`
      : '';
  return `<figure class="plot"><figcaption><b>${escapeHtml(plot.title)}</b> ${escapeHtml(plot.unit)}<output></output></figcaption>${svg}${legend}</figure>`;
}

function drawLine(
  { points, color, look, name }: PlotLine,
  atX: (x: number) => number,
  atY: (y: number) => number,
): string {
  const at = points.map(([x, y]) => `${cut(atX(x))},${cut(atY(y))}`);
  const line = `<polyline class="c${color % COLORS}${look ? ` ${look}` : ''}" data-name="${escapeHtml(name)}" points="${at.join(' ')}"/>`;
  if (look !== 'dots') return line;
  // A dot is a line of no length with a round end: one path for all of them.
  return `${line}<path class="c${color % COLORS} dot" d="${at.map((p) => `M${p}h0`).join('')}"/>`;
}

function gridOf(
  x: Scale,
  y: Scale,
  atX: (x: number) => number,
  atY: (y: number) => number,
  format: (value: number) => string,
): string[] {
  const floor = HEIGHT - PAD.bottom;
  return [
    `<path class="grid" d="${y.ticks.map((tick) => `M${PAD.left} ${cut(atY(tick))}H${WIDTH - PAD.right}`).join('')}"/>`,
    `<path class="floor" d="M${PAD.left} ${floor}H${WIDTH - PAD.right}"/>`,
    ...y.ticks.map(
      (tick) =>
        `<text class="axis" x="${PAD.left - 6}" y="${cut(atY(tick) + 4)}" text-anchor="end">${escapeHtml(format(tick))}</text>`,
    ),
    ...x.ticks.map(
      (tick) =>
        `<text class="axis" x="${cut(atX(tick))}" y="${floor + 15}" text-anchor="middle">${shortNumber(tick)}</text>`,
    ),
  ];
}

/** Without the outermost values where a few of them would press everything else flat. */
function clipped(ys: readonly number[]): number[] {
  if (ys.length < 50) return [...ys];
  const sorted = [...ys].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round(share * (sorted.length - 1))] as number;
  const [low, high] = [at(0.005), at(0.995)];
  const room = 0.5 * (high - low);
  return ys.filter((value) => value >= low - room && value <= high + room);
}

const cut = (x: number) => Number(x.toFixed(1));
const cut6 = (x: number) => Number(x.toPrecision(6));
