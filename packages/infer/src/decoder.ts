/**
 * @file Decoding one token per row at a time. The kernels of a step are the same each time, so they are recorded once and
 * replayed with other tokens and positions; when rows leave the batch, they are recorded anew. Caches that grow have room
 * for tokens to come: each step writes one row further, and when the room is full, they move and the step is recorded anew.
 */
import {
  Block,
  forwardBlock,
  isCache,
  type ModelConfig,
  ModelState,
  type Parameters,
  roomyCaches,
  vocabularyLogits,
} from '@quasar/model';
import { type CommandList, recordCommands, scope, type Tensor } from '@quasar/tensor';

/** Tokens that caches get room for at a time: as many as they hold, within these bounds. */
const ROOM = { least: 16, most: 256 };

export class Decoder {
  readonly #config: ModelConfig;
  readonly #parameters: Parameters;
  #state: ModelState;
  /** Tokens that every cache of the state holds and has room for; null: it has none. */
  #caches: { tokens: number; room: number } | null = null;
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
    for (const [key, tensor] of read.state.tensors)
      if (isCache(key)) this.#caches = { tokens: tensor.dim(1), room: tensor.dim(1) };
  }

  /** Of the next token of each row, [B, V]; rewritten by `next`. */
  get logits(): Tensor {
    return this.#logits;
  }

  /** Of all rows, on the device, without the room in caches. */
  get stateBytes(): number {
    return this.#state.sizeBytes - this.roomBytes;
  }

  /** What caches hold on the device for tokens to come: no more than for those they have, or for 16. */
  get roomBytes(): number {
    if (!this.#caches) return 0;
    const { tokens, room } = this.#caches;
    let bytes = 0;
    for (const [key, tensor] of this.#state.tensors)
      if (isCache(key)) bytes += (tensor.size / room) * (room - tokens) * tensor.device.floatBytes;
    return bytes;
  }

  /**
   * One more token per row.
   * @param rows which rows go on, with as many tokens; absent: all
   * @throws QuasarError model.token_out_of_range, model.row_out_of_range, tensor.freed when the weights were freed
   */
  next(tokens: Int32Array, rows?: readonly number[]): void {
    if (rows) this.#keep(rows);
    const isFull = this.#caches !== null && this.#caches.tokens === this.#caches.room;
    if (this.#recorded && !isFull) {
      this.#recorded.block.write(tokens, this.#state.lengths);
      this.#recorded.list.run();
    } else this.#record(tokens);
    const { lengths, tensors } = this.#state;
    this.#state = new ModelState(
      lengths.map((n) => n + 1),
      tensors,
    );
    if (this.#caches) this.#caches.tokens++;
  }

  dispose(): void {
    this.#forget();
    this.#state.dispose();
  }

  #record(tokens: Int32Array): void {
    const { lengths } = this.#state;
    const { device } = this.#logits;
    const block = new Block(this.#config, device, { tokens, positions: lengths, B: tokens.length, T: 1 });
    const freeBlock = () => {
      for (const tensor of block.tensors) tensor.dispose();
    };
    try {
      this.#makeRoom();
      const { tensors } = this.#state;
      const list = recordCommands(device, () => {
        const options = { state: tensors, cached: this.#caches?.tokens };
        const step = forwardBlock(this.#config, this.#parameters, block, options);
        const pairs = [...step.tensors].map(([key, after]) => [after, tensors.get(key) as Tensor] as const);
        // Caches were written in place.
        const carried = pairs.filter(([after, before]) => after !== before);
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

  /** For one token at least, where caches are full; of tokens that no row sees any more they are rid. */
  #makeRoom(): void {
    if (!this.#caches) return;
    const { tokens, room } = this.#caches;
    const { lengths, tensors } = this.#state;
    const kept = Math.min(tokens, Math.max(...lengths));
    if (kept === tokens && tokens < room) return;
    const wanted = kept + Math.min(Math.max(kept, ROOM.least), ROOM.most);
    const moved = scope(() => roomyCaches(tensors, { cached: tokens, kept, room: wanted }));
    // What was recorded writes to the caches of before.
    this.#recorded = null;
    for (const key of moved.keys()) tensors.get(key)?.dispose();
    this.#state = new ModelState(lengths, new Map([...tensors, ...moved]));
    this.#caches = { tokens: kept, room: wanted };
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
