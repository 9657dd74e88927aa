/** @file Preloaded into a process: its calendar is off by as many milliseconds as the file in CLOCK_FILE says, from one moment to the next. */
import { readFileSync } from 'node:fs';

const file = process.env.CLOCK_FILE;
const RealDate = Date;
const REREAD_MS = 50;
let shiftMs = 0;
let readAtMs = Number.NEGATIVE_INFINITY;

function now() {
  if (performance.now() - readAtMs > REREAD_MS) {
    readAtMs = performance.now();
    try {
      shiftMs = Number(readFileSync(file, 'utf8'));
    } catch {
      // Written at this moment: the old shift holds until the next look.
    }
  }
  return RealDate.now() + shiftMs;
}

globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(now());
    else super(...parts);
  }
  static now = now;
};
