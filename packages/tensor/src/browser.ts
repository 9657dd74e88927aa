/** @file The package for pages and their workers: all that needs no Node. The device is WebAssembly. */
export { type Backward, type Gradients, gradients, noGrad, record, recording } from './autograd.ts';
export type { Device, DeviceBuffer, DType } from './device.ts';
export { openWasmDevice } from './devices/wasm/browser.ts';
export type { WasmDevice } from './devices/wasm/device.ts';
export * from './ops/index.ts';
export { persist, scope } from './scope.ts';
export { type Shape, ShapeError, sizeOf, Tensor } from './tensor.ts';
