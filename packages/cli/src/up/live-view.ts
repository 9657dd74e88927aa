/**
 * @file What a running net shows on stderr: lines for events, and in a terminal a small status block below them that is
 * redrawn in place. Elsewhere (a log, CI) only the lines.
 */
import type { Context } from '../context.ts';
import { table } from '../ui/table.ts';

export interface StatusRow {
  name: string;
  state: string;
  detail: string;
}

export class LiveView {
  readonly #stream: NodeJS.WriteStream;
  readonly #isQuiet: boolean;
  #blockLines = 0;
  #block = '';

  constructor(context: Context, stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
    this.#isQuiet = context.quiet;
  }

  /** One event, with the time of day. */
  line(text: string): void {
    if (this.#isQuiet) return;
    const time = new Date().toTimeString().slice(0, 8);
    this.#clear();
    this.#stream.write(`${time}  ${text}\n`);
    this.#draw();
  }

  /** The status block; nothing outside of a terminal. */
  status(rows: readonly StatusRow[], footer: string): void {
    if (this.#isQuiet || !this.#stream.isTTY) return;
    const width = this.#stream.columns ?? 80;
    const text = table(
      [
        { title: 'process', value: (row) => row.name },
        { title: 'state', value: (row) => row.state },
        { title: 'now', value: (row) => row.detail },
      ],
      rows,
    );
    // A line that wraps would break the redraw: cut it at the width of the terminal.
    const block = ['', ...text.split('\n'), footer].map((line) => line.slice(0, width - 1)).join('\n');
    if (block === this.#block) return;
    this.#clear();
    this.#block = block;
    this.#draw();
  }

  /** Leaves the last block on screen and stops redrawing it. */
  end(): void {
    this.#block = '';
    this.#blockLines = 0;
  }

  #clear(): void {
    if (this.#blockLines > 0) this.#stream.write(`\x1b[${this.#blockLines}A\r\x1b[0J`);
    this.#blockLines = 0;
  }

  #draw(): void {
    if (this.#block === '') return;
    this.#stream.write(`${this.#block}\n`);
    this.#blockLines = this.#block.split('\n').length;
  }
}
