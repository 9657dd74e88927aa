/**
 * @file Progress on stderr: a bar that redraws in a terminal, one line per ten percent elsewhere (logs, CI).
 * No spinner and no timer: it draws when it is told something.
 */
import type { Context } from '../context.ts';

export interface Progress {
  update(done: number, total: number, detail?: string): void;
  /** Ends the bar's line. Safe to call twice. */
  end(): void;
}

const BAR_CELLS = 24;

export function startProgress(context: Context, label: string, stream: NodeJS.WriteStream = process.stderr): Progress {
  if (context.quiet) return { update() {}, end() {} };
  let isOpen = false;
  let lastTenth = -1;
  return {
    update(done, total, detail = '') {
      const fraction = total > 0 ? Math.min(1, done / total) : 0;
      const percent = `${Math.floor(fraction * 100)}`.padStart(3);
      if (stream.isTTY) {
        const filled = Math.round(fraction * BAR_CELLS);
        const bar = '█'.repeat(filled) + '░'.repeat(BAR_CELLS - filled);
        stream.write(`\r\x1b[2K${label} ${bar} ${percent} % ${detail}`.slice(0, (stream.columns ?? 80) + 5));
        isOpen = true;
      } else if (Math.floor(fraction * 10) > lastTenth) {
        lastTenth = Math.floor(fraction * 10);
        stream.write(`${label} ${percent} % ${detail}`.trimEnd().concat('\n'));
      }
    },
    end() {
      if (isOpen) stream.write('\n');
      isOpen = false;
    },
  };
}
