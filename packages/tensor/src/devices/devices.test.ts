/** @file What every device does with memory, whatever its kernels. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { ShapeError, Tensor } from '../tensor.ts';
import { nativeAvailable, nativeDevice } from './native.ts';
import { deviceReport, openDevice } from './open.ts';
import { referenceDevice } from './reference/device.ts';
import { wasmAvailable, wasmDevice } from './wasm/node.ts';

const DEVICES = {
  'reference f64': () => referenceDevice({ precision: 'f64' }),
  'reference f32': () => referenceDevice({ precision: 'f32' }),
  ...(nativeAvailable() && { native: () => nativeDevice() }),
  ...(wasmAvailable() && { wasm: () => wasmDevice({ threads: 2 }) }),
};

describe.each(Object.entries(DEVICES))('%s', (_, open) => {
  const device = open();

  it('reads back what was written, as a copy', async () => {
    const buffer = device.allocate('float', 3);
    device.write(buffer, [1, 0.5, -2]);
    const copy = await device.read(buffer);
    expect([...copy]).toEqual([1, 0.5, -2]);
    copy[0] = 9;
    expect((await device.read(buffer))[0]).toBe(1);
    expect(copy.BYTES_PER_ELEMENT).toBe(device.floatBytes);
  });

  it('reads and writes parts, rounded to the storage type, or as its bits', async () => {
    for (const dtype of ['float', 'bf16', 'f16'] as const) {
      const buffer = device.allocate(dtype, 5);
      device.write(buffer, [1, 2, 3, 4, 5]);
      device.write(buffer, [-0.5, 0.25], 3);
      expect([...(await device.read(buffer))], dtype).toEqual([1, 2, 3, -0.5, 0.25]);
      expect([...(await device.read(buffer, 2, 2))], dtype).toEqual([3, -0.5]);
      expect([...(await device.read(buffer, 5))], dtype).toEqual([]);
      for (const start of [4, -1, 0.5])
        expect(() => device.write(buffer, [1, 2], start)).toThrow(
          expect.objectContaining({ code: 'tensor.bad_range' }),
        );
      await expect(device.read(buffer, 3, 3)).rejects.toMatchObject({ code: 'tensor.bad_range' });
    }
    const bits = Uint16Array.of(0x3f80, 0xc000, 0x0001, 0x7f80, 0x3c00);
    const [bf16, f16] = [device.allocate('bf16', 7), device.allocate('f16', 7)];
    for (const buffer of [bf16, f16]) {
      device.write(buffer, new Float32Array(7));
      device.write(buffer, bits, 1);
    }
    const smallest = 2 ** -133;
    expect([...(await device.read(bf16))]).toEqual([0, 1, -2, smallest, Number.POSITIVE_INFINITY, 2 ** -7, 0]);
    expect([...(await device.read(f16))]).toEqual([0, 1.875, -2, 2 ** -24, Number.NaN, 1, 0]);
  });

  it('keeps integers exact', async () => {
    const ids = Tensor.from(device, [2], [2 ** 31 - 1, -(2 ** 31)], 'int');
    expect(await ids.read()).toEqual(Int32Array.of(2 ** 31 - 1, -(2 ** 31)));
  });

  it('holds empty tensors', async () => {
    const empty = Tensor.zeros(device, [0, 4]);
    expect(await empty.read()).toHaveLength(0);
    empty.dispose();
  });

  it('detects freed buffers, and frees twice without harm', async () => {
    const buffer = device.allocate('float', 4);
    device.free(buffer);
    device.free(buffer);
    expect(() => device.run('fill', [buffer], [4, 1])).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    const [one, two] = [device.allocate('float', 4), device.allocate('float', 4)];
    device.write(one, [1, 1, 1, 1]);
    device.write(two, [2, 2, 2, 2]);
    expect([...(await device.read(one))]).toEqual([1, 1, 1, 1]);
  });

  it('says which kernel got a freed buffer', () => {
    const x = Tensor.zeros(device, [2]);
    const out = Tensor.empty(device, [2]);
    x.dispose();
    expect(() => device.run('axpby', [out.buffer, x.buffer, null], [2, 1, 0])).toThrow(/axpby.*argument 1/);
  });

  it('refuses to read and to write freed memory', async () => {
    const x = Tensor.zeros(device, [2]);
    x.dispose();
    expect(() => x.write([1, 2])).toThrow(expect.objectContaining({ code: 'tensor.freed' }));
    await expect(x.read()).rejects.toThrow(expect.objectContaining({ code: 'tensor.freed' }));
  });

  it('fails with an error, not a crash, on impossible sizes', () => {
    expect(() => device.allocate('float', 2 ** 50)).toThrow(expect.objectContaining({ code: 'tensor.out_of_memory' }));
  });

  it('runs kernels on no elements', () => {
    const buffer = device.allocate('float', 0);
    device.run('fill', [buffer], [0, 1]);
    device.run('gemm', [buffer, buffer, buffer], [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    device.run('embedding', [buffer, buffer, device.allocate('int', 0)], [0, 4, 0]);
  });
});

it('a tensor checks that data fills its shape', () => {
  const device = referenceDevice({ precision: 'f64' });
  expect(() => Tensor.from(device, [2, 2], [1, 2, 3])).toThrow(ShapeError);
  expect(() => Tensor.zeros(device, [2]).write([1])).toThrow(ShapeError);
  expect(() => Tensor.zeros(device, [2]).dim(1)).toThrow(ShapeError);
});

it('reading memory that nothing wrote gives NaN on the reference device', async () => {
  const x = await Tensor.empty(referenceDevice({ precision: 'f64' }), [2]).read();
  expect([...x]).toEqual([NaN, NaN]);
});

describe('auto', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('takes the compiled kernels where there are any, then WebAssembly, and says so', () => {
    vi.stubEnv('QUASAR_DEVICE', '');
    const device = openDevice('auto');
    const report = deviceReport();
    expect(device.name).toBe(nativeAvailable() ? 'native' : wasmAvailable() ? 'wasm' : 'reference');
    expect(report).toMatchObject({ device: device.name, isa: device.isa, threads: device.threads });
    expect(report.why).not.toBe('');
  });

  it.each(['reference', ...(wasmAvailable() ? ['wasm'] : [])])('takes %s where QUASAR_DEVICE asks for it', (name) => {
    vi.stubEnv('QUASAR_DEVICE', name);
    expect(openDevice('auto').name).toBe(name);
    expect(deviceReport()).toMatchObject({ device: name, why: 'QUASAR_DEVICE asks for it' });
  });

  it('refuses a device that there is not', () => {
    vi.stubEnv('QUASAR_DEVICE', 'gpu');
    expect(() => openDevice('auto')).toThrow(expect.objectContaining({ code: 'tensor.unknown_device' }));
  });

  it('is not asked when a device is named', () => {
    vi.stubEnv('QUASAR_DEVICE', 'gpu');
    expect(openDevice('reference').name).toBe('reference');
  });
});
