/** @file Floor 2: the architecture: configs, layers, streaming state, checkpoints, tokenizers. Knows no training, no contest. */
export {
  CHECKPOINT_FILES,
  type Checkpoint,
  checkTensors,
  type ExpectedTensor,
  encodeParameters,
  expectedTensors,
  loadCheckpoint,
  loadParameters,
  readConfig,
  saveCheckpoint,
} from './checkpoint/checkpoint.ts';
export {
  DTYPE_BYTES,
  decodeTensor,
  headerLength,
  MAX_HEADER_BYTES,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type TensorToWrite,
  toBf16,
  writeSafetensors,
} from './checkpoint/safetensors.ts';
export { isMoe, layerType, parseConfig, type QuasarConfig, SIZES, type SizeName } from './config.ts';
export { type ForwardInput, type ForwardOutput, forward, vocabularyLogits } from './families/quasar.ts';
export { type SmebuSettings, smebuUpdate } from './layers/smebu.ts';
export {
  countParameters,
  disposeParameters,
  initialParameters,
  type Parameters,
  type Role,
  type TensorSpec,
  tensorTable,
} from './parameters.ts';
export { ModelState } from './state.ts';
export * from './tokenizer/index.ts';
