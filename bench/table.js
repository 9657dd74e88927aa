/** @file Rows of one area as a table for people. */

/** @param {object[]} rows judged rows of one area */
export function table(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row.peers)))];
  const lines = [
    ['case', 'shape', 'ours', 'unit', 'of peak', ...columns.flatMap((name) => [name, 'ours/it']), 'goal'],
    ...rows.map((row) => [
      row.case,
      row.shape,
      rate(row.ours.value),
      row.unit,
      row.share === null ? '' : percent(row.share),
      ...columns.flatMap((name) => peerCells(row.peers[name])),
      row.goals.map(({ text, isMet }) => `${text}: ${isMet === null ? 'open' : isMet ? 'met' : 'NOT met'}`).join('; '),
    ]),
  ];
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)));
  const isText = (i) => i < 2 || i === 3 || i === lines[0].length - 1;
  return lines
    .map((line) =>
      line
        .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** What a table has no room for, one line each. */
export function notes(rows) {
  const found = new Set();
  for (const row of rows) {
    for (const [name, { missing, error }] of Object.entries(row.peers)) {
      if (missing || error) found.add(`${name}: ${missing ?? `failed: ${error.split('\n')[0]}`}`);
    }
    if (row.note) found.add(`${row.case}: ${row.note}`);
  }
  return [...found];
}

function peerCells(peer) {
  if (!peer) return ['', ''];
  if (peer.missing) return ['missing', ''];
  if (peer.error) return ['failed', ''];
  return [rate(peer.value), `${peer.ratio.toFixed(2)} x`];
}

export function rate(value) {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function percent(share) {
  return `${(100 * share).toFixed(0)} %`;
}
