/** @file Bursts of the native device: the order of kernels, reads, writes, reuse of memory and errors are as without. */
import { QuasarError } from '@quasar/base';
import { describe, expect, it } from 'vitest';
import { recordCommands } from '../../commands.ts';
import { inBursts } from '../../device.ts';
import { axpby } from '../../ops/index.ts';
import { scope } from '../../scope.ts';
import { Tensor } from '../../tensor.ts';
import { nativeDevice } from '../native.ts';
import { nativeAvailable } from './addon.ts';

describe.skipIf(!nativeAvailable())('bursts', () => {
  const device = nativeDevice();
  const one = Tensor.filled(device, [3], 1);
  const plusOne = (x: Tensor) => axpby(1, x, 1, one);
  const values = async (x: Tensor) => [...(await x.read())];

  it('kernels of a burst run in their order, however many, and have run when it ends', async () => {
    // Each sum frees its temporary, whose memory the next one takes: only the order keeps them apart.
    const count = 5000;
    const sum = inBursts(device, () => {
      let x = Tensor.filled(device, [3], 0);
      for (let i = 0; i < count; i++) {
        const next = plusOne(x);
        x.dispose();
        x = next;
      }
      return x;
    });
    expect(await values(sum)).toEqual([count, count, count]);
    sum.dispose();
  });

  it('a read inside sees what came before it, and a write does not overtake', async () => {
    const x = Tensor.from(device, [3], [1, 2, 3]);
    const [before, after, seen] = inBursts(device, () => {
      const before = plusOne(x);
      device.write(x.buffer, [10, 20, 30]);
      const after = plusOne(x);
      return [before, after, values(after)] as const;
    });
    expect(await seen).toEqual([11, 21, 31]);
    expect(await values(before)).toEqual([2, 3, 4]);
    expect(await values(after)).toEqual([11, 21, 31]);
  });

  it('memory that goes back to the system was used before', async () => {
    const total = inBursts(device, () => {
      const large = Tensor.filled(device, [2 ** 20], 1);
      const total = scope(() => axpby(1, large, 1, large));
      large.dispose();
      device.trim?.();
      return total;
    });
    expect((await values(total)).at(-1)).toBe(2);
    total.dispose();
  });

  it('a burst inside of another adds nothing; recorded commands take their turn', async () => {
    const x = Tensor.from(device, [3], [0, 0, 0]);
    const list = recordCommands(device, () => ({ value: plusOne(x) }));
    const out = inBursts(device, () => {
      const first = inBursts(device, () => plusOne(one));
      device.write(x.buffer, [5, 5, 5]);
      list.run();
      return axpby(1, first, 1, list.value);
    });
    expect(await values(out)).toEqual([8, 8, 8]);
    list.dispose();
  });

  it('after an error what came before it has run, and the device goes on as ever', async () => {
    let made: Tensor | undefined;
    const burst = () =>
      inBursts(device, () => {
        made = plusOne(one);
        throw new QuasarError('test.stop', 'stop');
      });
    expect(burst).toThrow('stop');
    expect(await values(made as Tensor)).toEqual([2, 2, 2]);
    expect(await values(plusOne(made as Tensor))).toEqual([3, 3, 3]);
    const freed = Tensor.filled(device, [3], 1);
    freed.dispose();
    expect(() => inBursts(device, () => plusOne(freed))).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    expect(await values(plusOne(one))).toEqual([2, 2, 2]);
  });
});
