/** @file Options of the dev chain. Defaults are those of a new subnet of subtensor (spec 425) unless they say otherwise. */
import { type Issue, QuasarError } from '@quasar/base';
import { z } from 'zod';
import type { Hyperparameters } from '../port.ts';
import { isSs58 } from '../ss58.ts';
import { toRao } from './amounts.ts';

/** The longest timer Node can set. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const MAX_BLOCKS = 1_000_000;
const MAX_TAO = 21_000_000;

const blocks = (min: number) => z.int().min(min).max(MAX_BLOCKS);
const tao = z.number().min(0).max(MAX_TAO);
const fraction = z.number().min(0).max(1);

const schema = z.strictObject({
  /** SQLite file, created with its directory when absent, or ':memory:'. */
  path: z.string().min(1),
  /** 0: blocks on demand. */
  blockTimeMs: z.int().min(0).max(MAX_TIMER_MS),
  /** TAO that every account has before it is first used: the faucet of the dev chain. */
  initialBalance: tao.default(1_000_000),

  /** Blocks from epoch to epoch. */
  tempo: blocks(1).default(360),
  kappa: fraction.default(0.5),
  yumaVersion: z.union([z.literal(2), z.literal(3)]).default(3),
  /** Share of the old bonds that an epoch keeps. */
  bondsMovingAverage: fraction.default(0.9),
  bondsPenalty: fraction.default(1),
  /** A neuron that did not update its weights for longer does not count in consensus. */
  activityCutoffBlocks: blocks(1).default(5000),
  /** Validator permits per netuid. */
  maxValidators: z.int().min(1).max(4096).default(64),
  /** TAO of stake below which a neuron may not set weights and gets no permit. */
  stakeThreshold: tao.default(0),
  /** Hotkey of the owner of every subnet: gets 18 % of the emission, always has a permit, is never pruned. */
  subnetOwner: z.string().refine(isSs58, 'expected an ss58 address').optional(),

  registrationAllowed: z.boolean().default(true),
  /** Neurons per netuid; when all are taken, a registration replaces the neuron that earned least. */
  maxUids: z.int().min(1).max(4096).default(256),
  /** Blocks after its registration in which a neuron is replaced only when there is no other. */
  immunityPeriodBlocks: blocks(0).default(5000),
  /** TAO that the first registration of a subnet burns. */
  initialBurn: tao.default(0.1),
  minBurn: tao.default(0.0005),
  maxBurn: tao.default(100),
  /** Each registration multiplies the cost. */
  burnIncrease: z.number().min(1).max(1000).default(1.26),
  /** Blocks in which the cost halves. */
  burnHalfLifeBlocks: blocks(1).default(360),

  minAllowedWeights: z.int().min(1).max(4096).default(1),
  weightsVersionKey: z.int().min(0).max(Number.MAX_SAFE_INTEGER).default(0),
  /** Blocks between two weight updates of a validator; the registration counts as the first. */
  weightsRateLimitBlocks: blocks(0).default(100),

  /**
   * How weights are set: at once, or committed in one epoch and counted from a later one on. `hash`: the validator reveals
   * them; `timelocked`: the chain does. The network has commit-reveal on; off shows every step at once.
   */
  commitReveal: z.enum(['off', 'hash', 'timelocked']).default('off'),
  /** Epochs from a commit of weights to their reveal. */
  revealPeriodEpochs: z.int().min(1).max(100).default(1),

  /** Blocks between a commitment and its reveal, where the call does not say. */
  blocksUntilReveal: blocks(0).default(1),
});

export type DevChainOptions = z.input<typeof schema>;
export type ResolvedOptions = z.output<typeof schema>;

/** Fills in defaults. Throws `chain.invalid_options` with every issue in `data.issues`. */
export function resolveOptions(options: DevChainOptions): ResolvedOptions {
  const code = 'chain.invalid_options';
  const parsed = schema.safeParse(options);
  const issues: Issue[] = parsed.success
    ? parsed.data.minBurn > parsed.data.maxBurn
      ? [{ code, path: 'minBurn', message: 'is above maxBurn' }]
      : []
    : parsed.error.issues.map((issue) => ({ code, path: issue.path.join('/'), message: issue.message }));
  if (parsed.success && issues.length === 0) return parsed.data;
  const text = issues.map((issue) => `${issue.path}: ${issue.message}`).join('; ');
  throw new QuasarError(code, `the dev chain cannot open: ${text}`, { data: { issues } });
}

export function hyperparametersOf(options: ResolvedOptions): Hyperparameters {
  return {
    tempo: options.tempo,
    kappa: options.kappa,
    immunityPeriodBlocks: options.immunityPeriodBlocks,
    minAllowedWeights: options.minAllowedWeights,
    maxAllowedUids: options.maxUids,
    maxValidators: options.maxValidators,
    activityCutoffBlocks: options.activityCutoffBlocks,
    weightsVersionKey: options.weightsVersionKey,
    weightsRateLimitBlocks: options.weightsRateLimitBlocks,
    commitRevealEnabled: options.commitReveal !== 'off',
    revealPeriodEpochs: options.revealPeriodEpochs,
    bondsMovingAverage: options.bondsMovingAverage,
    bondsPenalty: options.bondsPenalty,
    yumaVersion: options.yumaVersion,
    registrationAllowed: options.registrationAllowed,
    minBurn: options.minBurn,
    maxBurn: options.maxBurn,
  };
}

export function stakeThresholdRao(options: ResolvedOptions): bigint {
  return toRao(options.stakeThreshold);
}
