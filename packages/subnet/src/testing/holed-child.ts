/**
 * @file The program of a cage with a hole in it: like the real one for every model but those whose repository is called
 * `hole-WHAT-UNIT`. With these it does WHAT when it is given a unit of that kind, in the middle of computing it.
 */
import '../evaluation/cage/child.ts';
import { type Message, MessageReader } from '../evaluation/cage/wire.ts';
import type { Hole } from './hostile/attack.ts';

const STEP_BYTES = 16 << 20;
/** Twice what a test allows; on a machine whose watch sleeps it ends here. */
const MOST_BYTES = 2 ** 31;
const PAUSE_MS = 10;

const reader = new MessageReader();

process.stdin.on('data', (chunk: Buffer) => {
  for (const { message } of reader.push(chunk)) {
    const does = holeOf(message);
    if (does) HOLES[does]();
  }
});

/** By the directory that is computed with: the base model takes the same unit to tell who is at fault. */
function holeOf({ type, kind, directories }: Message): Hole['does'] | null {
  if (type !== 'run') return null;
  const [, does, at] = /--hole-([a-z]+)-([a-z]+)\//.exec(`${(directories as string[])[0]}/`) ?? [];
  return at === kind ? (does as Hole['does']) : null;
}

const HOLES: Record<Hole['does'], () => void> = {
  abort: () => process.abort(),
  exit: () => process.exit(0),
  loop: () => {
    for (;;) Math.random();
  },
  memory: () => {
    const held: Buffer[] = [];
    const clock = new Int32Array(new SharedArrayBuffer(4));
    for (;;) {
      if (held.length * STEP_BYTES < MOST_BYTES) held.push(Buffer.alloc(STEP_BYTES, held.length + 1));
      Atomics.wait(clock, 0, 0, PAUSE_MS);
    }
  },
  heap: () => {
    const held: unknown[] = [];
    for (;;) held.push(new Array(5_000_000).fill(held));
  },
  nonsense: () => process.stdout.write(Buffer.alloc(64, 0xff)),
};
