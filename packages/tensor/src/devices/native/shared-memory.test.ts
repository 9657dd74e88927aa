/** @file Shared memory: another process sees what is written, the memory outlives its name, failures have a name. */
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { nativeAvailable } from './addon.ts';
import { createSharedMemory, openSharedMemory } from './shared-memory.ts';

const compiled = fileURLToPath(new URL('../../../dist/index.js', import.meta.url));

describe.skipIf(!nativeAvailable())('shared memory', () => {
  it('is zero, and the same for all who open it, also without its name', () => {
    const { path, buffer } = createSharedMemory(1 << 20);
    const [mine, theirs] = [new Float32Array(buffer), new Float32Array(openSharedMemory(path))];
    expect(mine.length).toBe(1 << 18);
    expect(mine.every((x) => x === 0)).toBe(true);
    rmSync(path);
    mine[7] = 3;
    expect(theirs[7]).toBe(3);
    theirs.set([4, 5], 100);
    expect([...mine.subarray(100, 102)]).toEqual([4, 5]);
  });

  it.skipIf(!existsSync(compiled))('is that of another process, too', async () => {
    const { path, buffer } = createSharedMemory(64);
    const values = new Int32Array(buffer);
    values[0] = 20;
    const script = `const { openSharedMemory } = await import(${JSON.stringify(compiled)});
      const values = new Int32Array(openSharedMemory(${JSON.stringify(path)})); values[1] = values[0] + 1;`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    expect(values[1]).toBe(21);
    rmSync(path);
  });

  it('that cannot be is refused', () => {
    expect(() => createSharedMemory(1e15)).toThrow(expect.objectContaining({ code: 'tensor.no_shared_memory' }));
    expect(() => openSharedMemory('/nowhere')).toThrow(expect.objectContaining({ code: 'tensor.no_shared_memory' }));
  });
});
