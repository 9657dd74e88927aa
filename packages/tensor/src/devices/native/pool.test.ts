/** @file The thread pool at rest. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { ADDON_PATH, nativeAvailable } from './addon.ts';

it.skipIf(!nativeAvailable())('a pool without work takes next to no processor time', () => {
  const script = fileURLToPath(new URL('../../testing/idle.js', import.meta.url));
  const share = Number(execFileSync(process.execPath, [script, ADDON_PATH, '7', '1000'], { encoding: 'utf8' }));
  // Threads that spin would take the share of one core each.
  expect(share).toBeLessThan(0.05);
});
