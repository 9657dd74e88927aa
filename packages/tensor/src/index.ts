/** @file Floor 1: arrays, differentiation, devices, kernels. Knows nothing of models. */
export {
  type Backward,
  checkpoint,
  type Gradients,
  gradients,
  noGrad,
  type RowGradient,
  record,
  recording,
} from './autograd.ts';
export { type CommandList, type Recorded, recordCommands } from './commands.ts';
export { type Command, type Device, type DeviceBuffer, type DType, inBursts, type MemoryUse } from './device.ts';
export { createSharedMemory, openSharedMemory, type SharedMemory } from './devices/native/shared-memory.ts';
export { measureGflops, measurePeak, nativeAvailable, nativeDevice, type Peak } from './devices/native.ts';
export { type DeviceName, type DeviceReport, deviceReport, openDevice } from './devices/open.ts';
export { referenceDevice } from './devices/reference/device.ts';
export { shapeDevice } from './devices/shapes.ts';
export type { WasmDevice } from './devices/wasm/device.ts';
export { wasmAvailable, wasmDevice } from './devices/wasm/node.ts';
export { KERNEL_NAMES, type KernelName, typeCode } from './kernels.ts';
export * from './ops/index.ts';
export { persist, scope } from './scope.ts';
export { type Shape, ShapeError, sizeOf, Tensor } from './tensor.ts';
