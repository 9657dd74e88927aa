/** @file Choosing a device, and saying which and why. */
import { QuasarError } from '@quasar/base';
import type { Device } from '../device.ts';
import { ADDON_PATH, nativeAvailable, nativeDevice } from './native.ts';
import { referenceDevice } from './reference/device.ts';

export type DeviceName = 'auto' | 'native' | 'reference';

let shared: Device | null = null;

/**
 * `auto` is native where its kernels are compiled, else reference. One native device serves the whole process.
 * @throws QuasarError tensor.no_native when `native` is asked for and not compiled.
 */
export function openDevice(name: DeviceName = 'auto', options: { threads?: number | undefined } = {}): Device {
  if (name === 'reference' || (name === 'auto' && !nativeAvailable())) return referenceDevice({ precision: 'f32' });
  if (!nativeAvailable()) {
    throw new QuasarError('tensor.no_native', `native device: compiled kernels not found`, {
      hint: 'install gcc or clang and run npm test or npm start, which compile them',
      data: { path: ADDON_PATH },
    });
  }
  shared ??= nativeDevice(options);
  return shared;
}

export interface DeviceReport {
  device: string;
  threads: number;
  isa: string;
  why: string;
}

/** What `auto` would choose on this machine. */
export function deviceReport(): DeviceReport {
  const device = openDevice('auto');
  return {
    device: device.name,
    threads: device.threads,
    isa: device.isa,
    why: device.name === 'native' ? 'compiled kernels found' : 'no compiled kernels: the reference device is used',
  };
}
