/** @file HTML as text, with everything that a run can name escaped. */

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (c) => ENTITIES[c] as string);
}

export interface HtmlTable {
  caption: string;
  titles: readonly string[];
  /** Cells are text; a first cell is the title of its row. */
  rows: readonly (readonly string[])[];
  /** Rows to stress. */
  strong?: ReadonlySet<number> | undefined;
}

/** Numbers stand to the right. */
export function htmlTable({ caption, titles, rows, strong }: HtmlTable): string {
  const isNumeric = (text: string | undefined) =>
    text !== undefined && /^[-−]?[\d.,]+(e[-+]?\d+)?( ?[%a-zA-Z/]+)?$/.test(text);
  const right = titles.map(
    (_, i) => i > 0 && rows.length > 0 && rows.every((row) => row[i] === '' || isNumeric(row[i])),
  );
  const cell = (tag: string, text: string, i: number) =>
    `<${tag}${right[i] ? ' class="n"' : ''}>${escapeHtml(text)}</${tag}>`;
  const body = rows.map((row, r) => {
    const cells = row.map((text, i) => (i === 0 ? `<th scope="row">${escapeHtml(text)}</th>` : cell('td', text, i)));
    return `<tr${strong?.has(r) ? ' class="strong"' : ''}>${cells.join('')}</tr>`;
  });
  const head = titles.map((title, i) => cell('th', title, i).replace('<th', '<th scope="col"'));
  return `<div class="scroll"><table><caption>${escapeHtml(caption)}</caption><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}
