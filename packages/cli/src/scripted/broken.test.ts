import { readSafetensorsHeader, writeSafetensors } from '@quasar/model';
import { expect, test } from 'vitest';
import { withWrongShape } from './broken.ts';

test('turns one matrix around and leaves a valid file with the same data', () => {
  const file = writeSafetensors(
    new Map([
      ['square', { shape: [2, 2], dtype: 'F32' as const, values: Float32Array.of(1, 2, 3, 4) }],
      ['wide', { shape: [1, 3], dtype: 'F32' as const, values: Float32Array.of(5, 6, 7) }],
    ]),
    {},
  );
  const broken = withWrongShape(file);
  const header = readSafetensorsHeader(broken, broken.length);
  if (!header.ok) throw new Error(JSON.stringify(header.issues));
  expect(header.value.tensors.get('square')?.shape).toEqual([2, 2]);
  const wide = header.value.tensors.get('wide');
  expect(wide?.shape).toEqual([3, 1]);
  const bytes = broken.slice(wide?.start, wide?.end);
  expect([...new Float32Array(bytes.buffer)]).toEqual([5, 6, 7]);
});
