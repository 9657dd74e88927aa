/** @file What the newest process on the contest log says of itself, and whether it keeps up: a part of `/health`. */
import { existsSync } from 'node:fs';
import { cacheUsage } from '@quasar/hub';
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
  /** What it keeps of the hub; null when its cache is not on this machine. */
  cache: { bytes: number; quota_bytes: number; revisions: number } | null;
}

/** Null for a log that no validator has worked on yet. @param block head of the chain */
export function validatorHealth(
  contest: Contest,
  block: number | null,
  cacheDirectory?: (name: string) => string,
): ValidatorHealth | null {
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
    cache: cacheDirectory && started.cache ? cacheHealth(started.cache, cacheDirectory) : null,
  };
}

function cacheHealth(
  { name, quotaBytes }: { name: string; quotaBytes: number },
  cacheDirectory: (name: string) => string,
): ValidatorHealth['cache'] {
  const directory = cacheDirectory(name);
  return existsSync(directory) ? { ...cacheUsage(directory), quota_bytes: quotaBytes } : null;
}
