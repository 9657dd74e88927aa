/** @file What the newest process on the contest log says of itself, and whether it keeps up: a part of `/health`. */
import type { Contest } from '@quasar/subnet';

export interface ValidatorHealth {
  version: string;
  /** Milliseconds since 1970, by the validator's clock. */
  started_ms: number;
  /** ss58 address. */
  hotkey: string;
  /** How evaluations are kept apart. */
  isolation: string;
  rules_version: string;
  /** Two validators with the same one judge by the same rules. */
  rules_hash: string;
  /** Rounds nobody entered leave no trace. */
  last_round: number | null;
  last_outcome: string | null;
  /** Blocks since the activation of a round that is not finished; 0 when nothing is due, null without a chain. */
  lag_blocks: number | null;
}

/** Null for a log that no validator has worked on yet. @param block head of the chain */
export function validatorHealth(contest: Contest, block: number | null): ValidatorHealth | null {
  const { started, openRound, rounds } = contest;
  if (!started) return null;
  const last = [...rounds.values()].at(-1);
  return {
    version: started.version,
    started_ms: started.atMs,
    hotkey: started.hotkey,
    isolation: started.isolation,
    rules_version: started.rulesVersion,
    rules_hash: started.configHash,
    last_round: last?.round ?? null,
    last_outcome: last?.outcome ?? null,
    lag_blocks: block === null ? null : Math.max(0, openRound ? block - openRound.activationBlock : 0),
  };
}
