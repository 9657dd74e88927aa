/**
 * @file Decoding one token per row at a time. The kernels of a step are the same each time, so they are recorded once and
 * replayed with other tokens and positions; when rows leave the batch, they are recorded anew. A state that grows changes
 * the kernels with every token: such models run a plain forward pass per step.
 */
import {
  Block,
  forward,
  forwardBlock,
  type ModelConfig,
  ModelState,
  type Parameters,
  stateGrows,
  vocabularyLogits,
} from '@quasar/model';
import { type CommandList, recordCommands, scope, type Tensor } from '@quasar/tensor';

export class Decoder {
  readonly #config: ModelConfig;
  readonly #parameters: Parameters;
  #state: ModelState;
  #logits: Tensor;
  #recorded: { block: Block; list: CommandList<Tensor> } | null = null;
  /** Frees the logits and the step that was recorded for them. */
  #release: () => void;

  /** Goes on from what reading a prompt gave, logits [B, V] and state, and frees them in time. */
  constructor(config: ModelConfig, parameters: Parameters, read: { logits: Tensor; state: ModelState }) {
    this.#config = config;
    this.#parameters = parameters;
    this.#state = read.state;
    this.#logits = read.logits;
    this.#release = () => read.logits.dispose();
  }

  /** Of the next token of each row, [B, V]; rewritten by `next`. */
  get logits(): Tensor {
    return this.#logits;
  }

  /** Of all rows, on the device. */
  get stateBytes(): number {
    return this.#state.sizeBytes;
  }

  /**
   * One more token per row.
   * @param rows which rows go on, with as many tokens; absent: all
   * @throws QuasarError model.token_out_of_range, model.row_out_of_range, tensor.freed when the weights were freed
   */
  next(tokens: Int32Array, rows?: readonly number[]): void {
    if (rows) this.#keep(rows);
    if (stateGrows(this.#config)) {
      this.#step(tokens);
      return;
    }
    const { lengths } = this.#state;
    if (this.#recorded) {
      this.#recorded.block.write(tokens, lengths);
      this.#recorded.list.run();
    } else this.#record(tokens);
    this.#state = new ModelState(
      lengths.map((n) => n + 1),
      this.#state.tensors,
    );
  }

  dispose(): void {
    this.#forget();
    this.#state.dispose();
  }

  #step(tokens: Int32Array): void {
    const before = this.#state;
    const { logits, state } = scope(() => {
      const { hidden, state } = forward(this.#config, this.#parameters, {
        tokens,
        B: tokens.length,
        T: 1,
        state: before,
      });
      return { logits: vocabularyLogits(this.#parameters, hidden), state };
    });
    this.#forget();
    before.dispose();
    this.#state = state;
    this.#logits = logits;
    this.#release = () => logits.dispose();
  }

  #record(tokens: Int32Array): void {
    const { lengths, tensors } = this.#state;
    const { device } = this.#logits;
    const block = new Block(this.#config, device, { tokens, positions: lengths, B: tokens.length, T: 1 });
    const freeBlock = () => {
      for (const tensor of block.tensors) tensor.dispose();
    };
    try {
      const list = recordCommands(device, () => {
        const step = forwardBlock(this.#config, this.#parameters, block, { state: tensors });
        const carried = [...step.tensors].map(([key, after]) => [after, tensors.get(key) as Tensor] as const);
        return { value: vocabularyLogits(this.#parameters, step.hidden), carried };
      });
      this.#forget();
      this.#recorded = { block, list };
      this.#logits = list.value;
      this.#release = () => {
        list.dispose();
        freeBlock();
      };
    } catch (error) {
      freeBlock();
      throw error;
    }
  }

  #keep(rows: readonly number[]): void {
    const before = this.#state;
    this.#state = scope(() => before.select(rows));
    this.#forget();
    before.dispose();
  }

  #forget(): void {
    this.#release();
    this.#release = () => {};
    this.#recorded = null;
  }
}
