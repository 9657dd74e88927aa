/** @file Floor 2: the architecture: configs, layers, streaming state, checkpoints, tokenizers. Knows no training, no contest. */
export { Block, type ForwardInput, type ForwardOutput, type MimicPair } from './block.ts';
export {
  type Checkpoint,
  type CheckpointOptions,
  type ExpectedTensor,
  expectedTensors,
  loadCheckpoint,
  loadParameters,
  piecesOf,
  saveCheckpoint,
} from './checkpoint/checkpoint.ts';
export { checkpointDigest } from './checkpoint/digest.ts';
export { type RecordedBase, readRecordedBase } from './checkpoint/graft-base.ts';
export { duplicateKey } from './checkpoint/header-json.ts';
export { type InitOptions, initCheckpoint } from './checkpoint/init-checkpoint.ts';
export type { LoadOptions } from './checkpoint/load-tensors.ts';
export type { NameMap } from './checkpoint/names.ts';
export { readConfig, readConfigFile } from './checkpoint/read-config.ts';
export {
  headerLength,
  MAX_HEADER_BYTES,
  readSafetensorsHeader,
  type SafetensorsEntry,
  type SafetensorsHeader,
  type TensorToWrite,
  writeSafetensors,
} from './checkpoint/safetensors.ts';
export { ALL_DTYPE_BYTES, DTYPE_BYTES, decodeTensor, toBf16 } from './checkpoint/tensor-bytes.ts';
export { CHECKPOINT_FILES, indexIssues, placeIssues } from './checkpoint/weight-files.ts';
export { INDEX_FILE, parseWeightIndex, shardName, type WeightIndex } from './checkpoint/weight-index.ts';
export { weightsDigest } from './checkpoint/weights-digest.ts';
export {
  DEFAULT_SHARD_BYTES,
  type StreamedTensor,
  type WriteOptions,
  writeTensorFile,
  writeWeights,
} from './checkpoint/write-weights.ts';
export { initialValues } from './draw.ts';
export type { SequenceCost } from './families/family.ts';
export type { GraftConfig } from './families/graft/config.ts';
export {
  countParameters,
  expertBiasOf,
  familyOf,
  type ModelConfig,
  parseConfig,
  SIZES,
  type SizeName,
  tensorTable,
  withTokens,
} from './families/index.ts';
export { isMoe, layerType, type QuasarConfig } from './families/quasar/config.ts';
export type { QuasarLongConfig } from './families/quasar-long/config.ts';
export type { Qwen35Config } from './families/qwen3-5/config.ts';
export { forward, forwardBlock, vocabularyLogits, vocabularyOperands } from './forward.ts';
export {
  type GraftCheckpoint,
  type GraftOptions,
  graftOnto,
  loadBranches,
  saveBranches,
} from './graft.ts';
export { isCache, roomyCaches } from './layers/cache.ts';
export { canonicalTokenMap } from './layers/engram-tensors.ts';
export { type ModelInfo, modelInfo } from './model-info.ts';
export { disposeParameters, initialParameters, type Parameters } from './parameters.ts';
export type { Positional } from './positional.ts';
export { ModelState } from './state.ts';
export { decodeState, encodeState } from './state-bytes.ts';
export { stateShapes } from './state-shapes.ts';
export { isTrained, type Role, type TensorSpec } from './tensor-table.ts';
export * from './tokenizer/index.ts';
