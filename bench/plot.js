/** @file Small plots as SVG text: lines over a logarithmic axis, bars of ratios. No dependency, no script inside. */

const WIDTH = 720;
const HEIGHT = 400;
const MARGIN = { left: 76, right: 24, top: 48, bottom: 56 };
const COLORS = ['#1f6fb4', '#d1662a', '#3a8f4a', '#8a4fa3', '#7a7a7a'];

const escapeText = (text) => text.replace(/[<>&]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;' })[c]);
const text = (x, y, content, attributes = '') => `<text x="${x}" y="${y}" ${attributes}>${escapeText(content)}</text>`;

function page(height, parts) {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** A round number at or above x: 1, 2 or 5 times a power of ten. */
function roundUp(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return power * [1, 2, 5, 10].find((step) => step * power >= x);
}

/** 4096 -> 4k, 1048576 -> 1M. */
function short(n) {
  return n >= 2 ** 20 ? `${n / 2 ** 20}M` : n >= 1024 ? `${n / 1024}k` : String(n);
}

/** @param {{title: string, x: string, y: string, lines: {name: string, points: [number, number][]}[]}} plot x logarithmic, y from 0 */
export function linePlot({ title, x, y, lines }) {
  const points = lines.flatMap((line) => line.points);
  const [first, last] = [Math.min(...points.map((p) => p[0])), Math.max(...points.map((p) => p[0]))];
  const top = roundUp(Math.max(...points.map((p) => p[1])) * 1.05);
  const atX = (value) =>
    MARGIN.left + (Math.log(value / first) / Math.log(last / first)) * (WIDTH - MARGIN.left - MARGIN.right);
  const atY = (value) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const parts = [text(MARGIN.left, 26, title, 'font-size="16"')];
  for (let i = 0; i <= 5; i++) {
    const value = (top * i) / 5;
    const at = atY(value).toFixed(1);
    parts.push(`<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${at}" y2="${at}" stroke="#ddd"/>`);
    parts.push(text(MARGIN.left - 8, Number(at) + 4, String(Number(value.toPrecision(4))), 'text-anchor="end"'));
  }
  for (const value of new Set(points.map((p) => p[0]))) {
    parts.push(text(atX(value).toFixed(1), HEIGHT - MARGIN.bottom + 20, short(value), 'text-anchor="middle"'));
  }
  parts.push(text(WIDTH / 2, HEIGHT - 12, x, 'text-anchor="middle"'));
  parts.push(text(16, HEIGHT / 2, y, `text-anchor="middle" transform="rotate(-90 16 ${HEIGHT / 2})"`));
  lines.forEach((line, i) => {
    const color = COLORS[i % COLORS.length];
    const path = line.points.map(([px, py]) => `${atX(px).toFixed(1)},${atY(py).toFixed(1)}`);
    parts.push(`<polyline points="${path.join(' ')}" fill="none" stroke="${color}" stroke-width="2"/>`);
    for (const point of path) {
      const [cx, cy] = point.split(',');
      parts.push(`<circle cx="${cx}" cy="${cy}" r="3.5" fill="${color}"/>`);
    }
    const [lastX, lastY] = path.at(-1).split(',').map(Number);
    parts.push(text(lastX - 6, lastY - 10, line.name, `text-anchor="end" fill="${color}"`));
  });
  return page(HEIGHT, parts);
}

/** Ours beside every peer, one group of bars per row of a table, each bar as a share of the longest in its group. */
export function barPlot(title, rows) {
  const columns = [
    'ours',
    ...new Set(rows.flatMap((row) => Object.keys(row.peers).filter((name) => row.peers[name].value))),
  ];
  const left = 290;
  const room = WIDTH - left - 90;
  const parts = [text(16, 26, title, 'font-size="16"')];
  columns.forEach((name, i) => {
    parts.push(`<rect x="${16 + i * 130}" y="38" width="12" height="12" fill="${COLORS[i % COLORS.length]}"/>`);
    parts.push(text(34 + i * 130, 49, name));
  });
  let y = 70;
  for (const row of rows) {
    const bars = columns.flatMap((name, i) => {
      const value = name === 'ours' ? row.ours.value : row.peers[name]?.value;
      return value ? [{ value, color: COLORS[i % COLORS.length] }] : [];
    });
    const longest = Math.max(...bars.map((bar) => bar.value));
    parts.push(text(left - 10, y + 12, `${row.case}, ${row.shape}`, 'text-anchor="end" font-size="12"'));
    for (const { value, color } of bars) {
      const width = Math.max(1, (value / longest) * room);
      parts.push(`<rect x="${left}" y="${y}" width="${width.toFixed(1)}" height="13" fill="${color}"/>`);
      const figure = value >= 100 ? value.toFixed(0) : value.toPrecision(3);
      parts.push(text(left + width + 5, y + 11, `${figure} ${row.unit}`, 'font-size="11"'));
      y += 15;
    }
    y += 8;
  }
  return page(y + 12, parts);
}
