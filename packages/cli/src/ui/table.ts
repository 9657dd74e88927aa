/** @file Plain text tables: a heading, aligned columns, numbers to the right. */

export interface Column<Row> {
  title: string;
  value(row: Row): string | number;
  /** Text that is a number, to the right like one. */
  isNumeric?: true;
}

/** One line per row below a line of titles; columns two spaces apart, no trailing spaces. */
export function table<Row>(columns: Column<Row>[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => column.value(row)));
  const widths = columns.map((column, c) =>
    Math.max(column.title.length, ...cells.map((row) => String(row[c]).length)),
  );
  const line = (values: (string | number)[], align: (string | number)[]) =>
    values
      .map((value, c) => {
        const width = widths[c] ?? 0;
        return columns[c]?.isNumeric || typeof align[c] === 'number'
          ? String(value).padStart(width)
          : String(value).padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const titles = columns.map((column) => column.title);
  return [line(titles, cells[0] ?? titles), ...cells.map((row) => line(row, row))].join('\n');
}

/** `name  value` lines for one record; values start in one column. */
export function record(fields: Record<string, string>): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join('\n');
}
