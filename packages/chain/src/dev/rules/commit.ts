/** @file Commitments: at most 31 in 360 blocks, revealed after a delay, never two of one hotkey in the same block. */
import type Database from 'libsql';
import { type Deed, type RuleContext, registered, tooSoon } from './context.ts';

const COMMITS_PER_WINDOW = 31;
const COMMIT_WINDOW_BLOCKS = 360;

interface Params {
  netuid: number;
  data: string;
  blocksUntilReveal?: number | undefined;
}

export class CommitRules {
  readonly #context: RuleContext;
  readonly #statements;

  constructor(sql: Database.Database, context: RuleContext) {
    this.#context = context;
    this.#statements = {
      lastReveal: sql.prepare('SELECT max(revealed_at) AS block FROM commitments WHERE netuid = ? AND hotkey = ?'),
      recentCommits: sql.prepare(
        'SELECT committed_at AS block FROM commitments WHERE netuid = ? AND hotkey = ? ORDER BY committed_at DESC LIMIT ?',
      ),
      commit: sql.prepare('INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?)'),
    };
  }

  commit(hotkey: string, params: Params, block: number): Deed<'commit'> {
    const { netuid, data, blocksUntilReveal = this.#context.options.blocksUntilReveal } = params;
    const { uid } = registered(this.#context, netuid, hotkey);
    const revealedAt = block + blocksUntilReveal;
    const last = this.#statements.lastReveal.get([netuid, hotkey]) as { block: number | null };
    if (last.block !== null && last.block >= revealedAt) {
      const retryAtBlock = last.block + 1 - blocksUntilReveal;
      throw tooSoon(`hotkey ${hotkey} already has a commitment that is revealed at block ${last.block}`, retryAtBlock);
    }
    const recent = this.#statements.recentCommits.all([netuid, hotkey, COMMITS_PER_WINDOW]) as { block: number }[];
    const oldest = recent[COMMITS_PER_WINDOW - 1];
    if (oldest && block - oldest.block < COMMIT_WINDOW_BLOCKS) {
      const limit = `${COMMITS_PER_WINDOW} commitments within ${COMMIT_WINDOW_BLOCKS} blocks`;
      throw tooSoon(`hotkey ${hotkey} already made ${limit}`, oldest.block + COMMIT_WINDOW_BLOCKS);
    }
    return () => {
      this.#statements.commit.run([netuid, revealedAt, block, hotkey, uid, Buffer.from(data)]);
      return { committedAtBlock: block, expectedRevealBlock: revealedAt };
    };
  }
}
