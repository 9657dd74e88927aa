/** @file The forward pass of any family: checks, positions and state around the block that the family computes. */
import { QuasarError } from '@quasar/base';
import { type Device, gatherRows, inBursts, linear, reshape, Tensor } from '@quasar/tensor';
import { Block, type BlockOptions, type BlockOutput, type ForwardInput, type ForwardOutput } from './block.ts';
import { familyOf, type ModelConfig } from './families/index.ts';
import { type Parameters, weight } from './parameters.ts';
import { checkRows, ModelState } from './state.ts';

/** @throws QuasarError model.token_out_of_range, model.wrong_block, model.unsupported, checkpoint.missing_tensor */
export function forward(config: ModelConfig, parameters: Parameters, input: ForwardInput): ForwardOutput {
  const { B, T, state } = input;
  checkBlock(input);
  const lengths = state?.lengths ?? new Int32Array(B);
  const positions = input.positions ?? continuing(lengths, B, T);
  const device = deviceOf(parameters);
  const block = new Block(config, device, { ...input, positions });
  const { tensors, ...output } = inBursts(device, () =>
    forwardBlock(config, parameters, block, { ...input, state: state?.tensors }),
  );
  const read = Int32Array.from(lengths, (_, b) => (positions[b * T + T - 1] as number) + 1);
  return { ...output, state: new ModelState(read, tensors) };
}

/**
 * `forward` with everything on the device: what it computes depends on tensors alone, so its kernels can be recorded.
 * @throws QuasarError model.unsupported, checkpoint.missing_tensor
 */
export function forwardBlock(
  config: ModelConfig,
  parameters: Parameters,
  block: Block,
  options: BlockOptions = {},
): BlockOutput {
  return familyOf(config).forwardBlock(config, parameters, block, options);
}

/**
 * What logits are made of: the given rows of hidden [B, T, D] (row index b·T + t; all when absent), [M, D], and the head
 * [V, D]. @throws QuasarError model.row_out_of_range
 */
export function vocabularyOperands(
  parameters: Parameters,
  hidden: Tensor,
  rows?: Int32Array,
): { rows: Tensor; head: Tensor } {
  const D = hidden.dim(-1);
  const flat = reshape(hidden, [hidden.size / D, D]); // [B, T, D] -> [B·T, D]
  if (rows) checkRows('vocabularyOperands', rows, flat.dim(0));
  const isAll = !rows || (rows.length === flat.dim(0) && rows.every((row, i) => row === i));
  const chosen = isAll ? flat : gatherRows(flat, Tensor.from(hidden.device, [rows.length], rows, 'int'));
  // A model that ties its head to its embedding has no head of its own.
  const head = parameters.get('lm_head.weight') ?? weight(parameters, 'model.embed_tokens.weight');
  return { rows: chosen, head };
}

/**
 * Logits [M, V] of rows as in `vocabularyOperands`. Where a loss or the best few are wanted, `headLoss` and `headTopK` make
 * them without the logits. @throws QuasarError model.row_out_of_range
 */
export function vocabularyLogits(parameters: Parameters, hidden: Tensor, rows?: Int32Array): Tensor {
  const operands = vocabularyOperands(parameters, hidden, rows);
  return linear(operands.rows, operands.head);
}

function continuing(lengths: Int32Array, B: number, T: number): Int32Array {
  const positions = new Int32Array(B * T);
  for (let b = 0; b < B; b++) for (let t = 0; t < T; t++) positions[b * T + t] = (lengths[b] as number) + t;
  return positions;
}

function checkBlock({ tokens, B, T, positions, state }: ForwardInput): void {
  const refuse = (what: string, hint: string) =>
    new QuasarError('model.wrong_block', `forward: ${what} for a block of ${B} rows of ${T}`, { hint });
  if (tokens.length !== B * T || tokens.length === 0)
    throw refuse(`${tokens.length} tokens`, 'give at least one token per row');
  if (positions && positions.length !== B * T)
    throw refuse(`${positions.length} positions`, 'give one position per token');
  if (state && state.batch !== B) throw refuse(`a state of ${state.batch} rows`, 'select the rows of the state first');
}

function deviceOf(parameters: Parameters): Device {
  for (const tensor of parameters.values()) return tensor.device;
  throw new QuasarError('checkpoint.missing_tensor', 'forward: the model has no parameters');
}
