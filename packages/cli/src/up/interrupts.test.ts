import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { listenForInterrupts } from './interrupts.ts';

test('one key press that arrives twice is one interrupt; a later one kills', async () => {
  let kills = 0;
  const interrupts = listenForInterrupts(() => kills++);
  try {
    process.emit('SIGINT');
    process.emit('SIGINT');
    expect([interrupts.signal.aborted, kills]).toEqual([true, 0]);
    await sleep(600);
    process.emit('SIGINT');
    expect(kills).toBe(1);
  } finally {
    interrupts.dispose();
  }
});
