/** @file Memory of the native device: accounts, reuse, return to the system, running out. */
import { describe, expect, it } from 'vitest';
import { Tensor } from '../../tensor.ts';
import { nativeDevice } from '../native.ts';
import { nativeAvailable } from './addon.ts';

describe.skipIf(!nativeAvailable())('memory of the native device', () => {
  it('counts what is used, kept and at most used, and gives back what is kept', () => {
    const device = nativeDevice();
    const use = () => device.memory?.() ?? { usedBytes: -1, spareBytes: -1, peakBytes: -1 };
    const big = device.allocate('float', 2 ** 20);
    const small = device.allocate('bf16', 100);
    expect(use()).toEqual({ usedBytes: 2 ** 22 + 256, spareBytes: 0, peakBytes: 2 ** 22 + 256 });
    device.free(big);
    expect(use()).toEqual({ usedBytes: 256, spareBytes: 2 ** 22, peakBytes: 2 ** 22 + 256 });
    const again = device.allocate('float', 2 ** 20);
    expect(use()).toEqual({ usedBytes: 2 ** 22 + 256, spareBytes: 0, peakBytes: 2 ** 22 + 256 });
    device.free(again);
    device.free(small);
    device.trim?.();
    expect(use()).toEqual({ usedBytes: 0, spareBytes: 0, peakBytes: 2 ** 22 + 256 });
  });

  it('keeps no more than a little beyond the most that was used', () => {
    const device = nativeDevice();
    for (let size = 2 ** 24; size < 2 ** 25; size += 2 ** 21) device.free(device.allocate('float', size));
    const { spareBytes, peakBytes } = device.memory?.() ?? { spareBytes: Number.NaN, peakBytes: 0 };
    expect(peakBytes).toBe(4 * (2 ** 25 - 2 ** 21));
    expect(spareBytes).toBeLessThan(1.25 * peakBytes + 2 ** 26);
  });

  it('says how much was asked for and how much is in use when there is no more', () => {
    const device = nativeDevice();
    const x = Tensor.zeros(device, [1024]);
    expect(() => device.allocate('float', 2 ** 45)).toThrow(/could not allocate 140737488355328 bytes; 4096 bytes are/);
    x.dispose();
  });

  it('small blocks of many sizes hold what was written to them', async () => {
    const device = nativeDevice();
    const make = (i: number) => Tensor.filled(device, [1 + ((i * 7919) % 300_000)], i);
    let tensors = Array.from({ length: 60 }, (_, i) => make(i));
    for (let round = 0; round < 3; round++) {
      for (const [i, tensor] of tensors.entries()) {
        const data = await tensor.read();
        expect(data.every((x) => x === data[0])).toBe(true);
        if (i % 2 === round % 2) tensor.dispose();
      }
      device.trim?.();
      tensors = tensors.flatMap((tensor, i) => (i % 2 === round % 2 ? [make(i + round)] : [tensor]));
    }
  });
});
