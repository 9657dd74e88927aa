/** @file A reference device that knows how many of its buffers are alive. */
import type { Device, DeviceBuffer } from '../device.ts';
import { referenceDevice } from '../devices/reference/device.ts';

export interface CountingDevice extends Device {
  /** Buffers allocated and not yet freed. */
  readonly live: number;
}

export function countingDevice(): CountingDevice {
  const device = referenceDevice({ precision: 'f64' });
  const alive = new Set<DeviceBuffer>();
  return {
    ...device,
    get live() {
      return alive.size;
    },
    allocate(dtype, length) {
      const buffer = device.allocate(dtype, length);
      alive.add(buffer);
      return buffer;
    },
    free(buffer) {
      alive.delete(buffer);
      device.free(buffer);
    },
  };
}
