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
  headerLength,
  MAX_HEADER_BYTES,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type TensorToWrite,
  writeSafetensors,
} from './checkpoint/safetensors.ts';
export { DTYPE_BYTES, decodeTensor, toBf16 } from './checkpoint/tensor-bytes.ts';
export { isMoe, layerType, type QuasarConfig, SIZES, type SizeName } from './config.ts';
export {
  Block,
  type ForwardInput,
  type ForwardOutput,
  forward,
  forwardBlock,
  vocabularyLogits,
  vocabularyOperands,
} from './families/quasar.ts';
export { disposeParameters, initialParameters, type Parameters } from './parameters.ts';
export { parseConfig } from './parse-config.ts';
export { ModelState } from './state.ts';
export { countParameters, type Role, type TensorSpec, tensorTable } from './tensor-table.ts';
export * from './tokenizer/index.ts';
