/** @file Choosing a device, and saying which and why. */
import { QuasarError } from '@quasar/base';
import type { Device } from '../device.ts';
import { ADDON_PATH, nativeAvailable, nativeDevice } from './native.ts';
import { referenceDevice } from './reference/device.ts';
import { wasmAvailable, wasmDevice } from './wasm/node.ts';

const DEVICES = ['auto', 'native', 'wasm', 'reference'] as const;
export type DeviceName = (typeof DEVICES)[number];

const shared = new Map<DeviceName, Device>();

/**
 * `auto` is the device that `QUASAR_DEVICE` names, else native where its kernels are compiled, else wasm, else reference.
 * One native and one wasm device serve all of a JavaScript thread.
 * @throws QuasarError tensor.no_native, tensor.no_wasm when such a device is asked for and this machine lacks it;
 * tensor.unknown_device when `QUASAR_DEVICE` names none.
 */
export function openDevice(name: DeviceName = 'auto', options: { threads?: number | undefined } = {}): Device {
  const wanted = name === 'auto' ? choose().device : name;
  if (wanted === 'reference') return referenceDevice({ precision: 'f32' });
  let device = shared.get(wanted);
  if (!device) {
    device = wanted === 'native' ? openNative(options) : openWasm(options);
    shared.set(wanted, device);
  }
  return device;
}

function choose(): { device: Exclude<DeviceName, 'auto'>; why: string } {
  const wanted = process.env.QUASAR_DEVICE || 'auto';
  if (!DEVICES.includes(wanted as DeviceName)) {
    throw new QuasarError('tensor.unknown_device', `QUASAR_DEVICE: there is no device "${wanted}"`, {
      hint: `use one of ${DEVICES.join(', ')}`,
    });
  }
  if (wanted !== 'auto') return { device: wanted as Exclude<DeviceName, 'auto'>, why: 'QUASAR_DEVICE asks for it' };
  if (nativeAvailable()) return { device: 'native', why: 'compiled kernels found' };
  if (wasmAvailable()) return { device: 'wasm', why: 'no compiled kernels: they run in WebAssembly' };
  return { device: 'reference', why: 'no compiled kernels and no WebAssembly with SIMD: the reference device is used' };
}

function openNative(options: { threads?: number | undefined }): Device {
  if (nativeAvailable()) return nativeDevice(options);
  throw new QuasarError('tensor.no_native', `native device: compiled kernels not found`, {
    hint: 'install gcc or clang and run npm test or npm start, which compile them',
    data: { path: ADDON_PATH },
  });
}

function openWasm(options: { threads?: number | undefined }): Device {
  if (wasmAvailable()) return wasmDevice(options);
  throw new QuasarError('tensor.no_wasm', 'wasm device: its module is missing, or this runtime has no SIMD', {
    hint: 'use a newer Node, or compile the module: node packages/tensor/scripts/build-wasm.js',
  });
}

export interface DeviceReport {
  device: string;
  threads: number;
  isa: string;
  why: string;
}

/** What `auto` chooses on this machine. */
export function deviceReport(): DeviceReport {
  const { why } = choose();
  const { name, threads, isa } = openDevice('auto');
  return { device: name, threads, isa, why };
}
