/**
 * @file Keeps the chain's weights equal to what the contest says: nothing else ever moves them.
 *
 * The wanted vector follows from the king in the log. It is set when the own row differs from it or has grown old, so
 * a crash between setting and remembering costs nothing. Refusals of the chain are waited out, never worked around.
 */
import { QuasarError } from '@quasar/base';
import type { WeightRow } from '@quasar/chain';
import { roundAt } from '../rules/round.ts';
import { buildWeights, type UidWeight } from '../rules/weights.ts';
import type { Context } from './context.ts';

/** Weights come back from the chain as 16-bit fractions of the largest one. */
const TOLERANCE = 2 / 65535;

export class WeightSetter {
  readonly #context: Context;
  #notBefore = 0;
  #lastWish = '';

  constructor(context: Context) {
    this.#context = context;
  }

  /** Look at the chain when the king changed, a round began, the row may have grown old, or a refusal has run out. */
  async reconcile(): Promise<void> {
    const { contest, config, atBlock } = this.#context;
    this.#context.catchUp();
    if (atBlock < this.#notBefore) return;
    // Once in a round anyway: the uid of a king can have been given to somebody else.
    const wish = `${contest.king?.id}/${contest.reigns.length}/${roundAt(atBlock, config.round)}`;
    const age = atBlock - (contest.weights?.setAtBlock ?? 0);
    if (wish === this.#lastWish && age <= config.weights.refreshBlocks) return;
    if (await this.#settle()) this.#lastWish = wish;
  }

  async #settle(): Promise<boolean> {
    const { options, contest, config, atBlock } = this.#context;
    const { chain, wallet } = options;
    const { neurons } = await chain.metagraph(config.netuid);
    const uidOf = (hotkey: string) => neurons.find((neuron) => neuron.hotkey === hotkey)?.uid ?? null;
    const ownUid = uidOf(wallet.hotkey);
    if (ownUid === null)
      throw new QuasarError('validator.not_registered', `hotkey ${wallet.hotkey} is not on netuid ${config.netuid}`, {
        hint: 'Register the hotkey and give it stake, then start the validator again.',
      });
    const kingUid = contest.king && uidOf(contest.king.hotkey);
    const uids = new Set(neurons.map(({ uid }) => uid));
    const wanted = buildWeights({ kingUid, uids, ownUid }, config.weights);
    if (!wanted) return true;

    const { commitRevealEnabled } = await chain.hyperparameters(config.netuid);
    if (commitRevealEnabled) {
      const { revealed } = await chain.revealWeights(wallet, config.netuid);
      if (revealed > 0) return this.#hold(atBlock + 1);
      const hidden = (await chain.pendingWeights(config.netuid)).filter(({ hotkey }) => hotkey === wallet.hotkey);
      if (hidden.length > 0) return this.#hold(Math.min(...hidden.map((one) => one.expectedRevealBlock)));
    }
    // What was hidden a moment ago may be a row by now, in a block after the last look.
    const rows = await chain.weights(config.netuid, commitRevealEnabled ? (await chain.head()).number : atBlock);
    const row = rows.find(({ hotkey }) => hotkey === wallet.hotkey);
    if (row && isEqual(row, wanted) && atBlock - row.setAtBlock <= config.weights.refreshBlocks) {
      this.#remember(wanted, row.setAtBlock);
      return true;
    }
    try {
      const receipt = await chain.setWeights(wallet, config.netuid, wanted);
      if (receipt.kind === 'plain') {
        this.#remember(wanted, receipt.setAtBlock);
        return true;
      }
      this.#context.log(`weights committed in block ${receipt.committedAtBlock}, hidden for now`);
      return this.#hold(receipt.kind === 'hash' ? receipt.revealFromBlock : receipt.expectedRevealBlock);
    } catch (error) {
      return this.#wait(error);
    }
  }

  /** Hidden weights: the row of the chain says when they count. */
  #hold(untilBlock: number): false {
    this.#notBefore = Math.max(untilBlock, this.#context.atBlock + 1);
    return false;
  }

  #remember(weights: UidWeight[], setAtBlock: number): void {
    if (this.#context.contest.weights?.setAtBlock === setAtBlock) return;
    const round = roundAt(setAtBlock, this.#context.config.round);
    const data = { round, atBlock: this.#context.atBlock, weights, setAtBlock };
    this.#context.append({ type: 'weights.set', data, key: String(setAtBlock) });
    this.#context.log(`weights: ${weights.map(({ uid, weight }) => `uid ${uid} ${weight}`).join(', ')}`);
  }

  #wait(error: unknown): false {
    if (!(error instanceof QuasarError) || error.code === 'chain.unreachable') throw error;
    const { atBlock, config } = this.#context;
    const retryAtBlock = (error.data as { retryAtBlock?: number } | undefined)?.retryAtBlock;
    this.#notBefore = retryAtBlock ?? atBlock + config.round.cutoffBlocks;
    this.#context.log(`weights wait until block ${this.#notBefore}: ${error.message}`, 'warn', error.code);
    return false;
  }
}

function isEqual(row: WeightRow, wanted: readonly UidWeight[]): boolean {
  const have = new Map(row.weights.filter(({ weight }) => weight > 0).map(({ uid, weight }) => [uid, weight]));
  return (
    have.size === wanted.length &&
    wanted.every(({ uid, weight }) => Math.abs((have.get(uid) ?? 0) - weight) < TOLERANCE)
  );
}
