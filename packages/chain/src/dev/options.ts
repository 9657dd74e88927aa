/** @file Options of the dev chain, with subtensor's values as defaults. */
import { type Issue, QuasarError } from '@quasar/base';
import type { Hyperparameters } from '../port.ts';

export interface DevChainOptions {
  /** SQLite file, created with its directory when absent, or ':memory:'. */
  path: string;
  /** 0: blocks on demand. */
  blockTimeMs: number;
  /** Blocks from epoch to epoch. Default 360. */
  tempo?: number | undefined;
  /** TAO that every account has before it is first used: the faucet of the dev chain. Default 1,000,000. */
  initialBalance?: number | undefined;
  /** Blocks between a commitment and its reveal, where the call does not say. Default 1. */
  blocksUntilReveal?: number | undefined;
  /** Blocks between two weight updates of a validator; the registration counts as the first. Default 100. */
  weightsRateLimitBlocks?: number | undefined;
  /** Validator permits per netuid. Default 64. */
  maxValidators?: number | undefined;
  /** Neurons per netuid. Default 256. */
  maxUids?: number | undefined;
}

export type ResolvedOptions = { [K in keyof DevChainOptions]-?: NonNullable<DevChainOptions[K]> };

/** The longest timer Node can set. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Fills in defaults. Throws `chain.invalid_options` with every issue in `data.issues`. */
export function resolveOptions(options: DevChainOptions): ResolvedOptions {
  const resolved = {
    path: options.path,
    blockTimeMs: options.blockTimeMs,
    tempo: options.tempo ?? 360,
    initialBalance: options.initialBalance ?? 1_000_000,
    blocksUntilReveal: options.blocksUntilReveal ?? 1,
    weightsRateLimitBlocks: options.weightsRateLimitBlocks ?? 100,
    maxValidators: options.maxValidators ?? 64,
    maxUids: options.maxUids ?? 256,
  };
  const code = 'chain.invalid_options';
  const issues: Issue[] = [];
  const expectInteger = (path: keyof ResolvedOptions, min: number, max: number) => {
    const value = resolved[path];
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return;
    issues.push({ code, path, message: `expected an integer from ${min} to ${max}, got ${value}` });
  };
  if (typeof resolved.path !== 'string' || resolved.path === '') {
    issues.push({ code, path: 'path', message: 'expected a file path' });
  }
  expectInteger('blockTimeMs', 0, MAX_TIMER_MS);
  expectInteger('tempo', 1, 1_000_000);
  expectInteger('initialBalance', 0, 21_000_000);
  expectInteger('blocksUntilReveal', 0, 1_000_000);
  expectInteger('weightsRateLimitBlocks', 0, 1_000_000);
  expectInteger('maxValidators', 1, 65536);
  expectInteger('maxUids', 1, 65536);
  if (issues.length === 0) return resolved;
  const text = issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ');
  throw new QuasarError(code, `the dev chain cannot open: ${text}`, { data: { issues } });
}

/** What the rules of the dev chain are called on subtensor. What it does not have yet stands at "no limit". */
export function hyperparametersOf(options: ResolvedOptions): Hyperparameters {
  return {
    tempo: options.tempo,
    kappa: 0.5,
    immunityPeriodBlocks: 0,
    minAllowedWeights: 1,
    maxAllowedUids: options.maxUids,
    maxValidators: options.maxValidators,
    activityCutoffBlocks: Number.MAX_SAFE_INTEGER,
    weightsVersionKey: 0,
    weightsRateLimitBlocks: options.weightsRateLimitBlocks,
    commitRevealEnabled: false,
    revealPeriodEpochs: 1,
    bondsMovingAverage: 0,
    bondsPenalty: 0,
    yumaVersion: 3,
    registrationAllowed: true,
    minBurn: 0,
    maxBurn: 0,
  };
}
