/**
 * @file Every number of the contest in one strict schema, with two profiles.
 *
 * `UPSTREAM` holds the published numbers of netuid 24 (subnet.md sections 3 and 7 to 14, choices of section 21).
 * `LOCAL` is the same contest scaled to a laptop: short rounds, short replies, a teacher that may be weak.
 * Unknown keys are refused: a misspelt threshold would otherwise silently keep its default.
 */
import { canonicalJson, type Issue, type Result, sha256Hex } from '@quasar/base';
import { SCORE_BATCH } from '@quasar/evals';
import { z } from 'zod';
import { axesSchema, LOCAL_AXES, UPSTREAM_AXES } from './axes.ts';

const count = z.int().min(0);
const positive = z.int().min(1);
const share = z.number().min(0).max(1);
const uidOrNull = z.int().min(0).max(65535).nullable();

/** Looks at a duel before its end; see `sequential.ts` of `@quasar/evals`. */
const sequential = z.strictObject({
  lookEvery: positive.refine((n) => n % SCORE_BATCH === 0, `must be a multiple of ${SCORE_BATCH}`),
  win: z.strictObject({ alpha: z.number().gt(0).lt(1), minPrompts: positive }),
  futility: z.strictObject({ minProbability: share, minPrompts: positive, skipAxes: z.boolean() }),
});

const schema = z.strictObject({
  /** Changes whenever a verdict could change. Stored with every round. */
  rulesVersion: z.string().min(1),
  netuid: count,
  round: z
    .strictObject({
      blocks: positive,
      cutoffBlocks: positive,
      activationBlocks: count,
      lateStartGraceBlocks: count,
      giveUpBlocks: positive,
      firstBlock: count,
    })
    .refine((r) => r.cutoffBlocks < r.blocks, 'cutoffBlocks must be below blocks')
    .refine((r) => r.giveUpBlocks > r.activationBlocks, 'giveUpBlocks must be above activationBlocks'),
  candidates: z.strictObject({
    maxPerRound: positive,
    rateWindowBlocks: count,
    maxPerHotkey: positive,
    maxPerOwner: positive,
    stale: z.strictObject({
      failedVisits: positive,
      longestPauseRounds: positive.refine((n) => Number.isInteger(Math.log2(n)), 'must be a power of two'),
    }),
  }),
  duel: z.strictObject({
    prompts: positive,
    minPrompts: positive,
    alpha: z.number().gt(0).lt(1),
    confidenceZ: z.number().min(0),
    minDelta: z.number().min(0),
    /** Null: a duel is judged at its last prompt only. */
    sequential: sequential.nullable(),
    maxPromptTokens: positive,
    /** Teacher tokens per prompt, exactly: past the end of its turn the teacher goes on with the next one. */
    continuationTokens: positive,
    temperature: z.number().min(0),
    topP: share,
    topK: positive,
    bootstrapResamples: positive,
  }),
  kl: z.strictObject({ fraudKl: z.number().min(0), maxKl: z.number().gt(0), baseFactor: z.number().min(1) }),
  axes: axesSchema,
  /** Of rounds that nobody enters; null: the king is measured beside challengers only. */
  revalidation: z.strictObject({ everyRounds: positive, prompts: positive }).nullable(),
  crown: z.strictObject({ qualityTolerance: share, qualityFloor: share, minQualityAxes: count }),
  /** A view beside the verdict, never part of it. */
  pareto: z.strictObject({ margin: share, minAxes: count }),
  weights: z
    .strictObject({
      winnerShare: share,
      reserveShare: share,
      reserveUid: uidOrNull,
      noWinnerUid: uidOrNull,
      fallbackToOwnUid: z.boolean(),
      /** An unchanged vector is set again after this many blocks. */
      refreshBlocks: positive,
    })
    .refine((w) => Math.abs(w.winnerShare + w.reserveShare - 1) < 1e-9, 'winnerShare + reserveShare must be 1'),
  copies: z.strictObject({
    minIdenticalRatio: share,
    minIdenticalTensors: positive,
    /** Chunks of 4096 bytes per tensor at secret places; 0 switches their check off. */
    chunksPerTensor: count,
    minChunkRatio: share,
    minChunks: positive,
    minSamples: positive,
    /** Values sampled per tensor at secret positions; 0 switches the noise check off. */
    samplesPerTensor: count,
    minCosine: share,
    maxRelativeL2: z.number().gt(0),
    /** What models compute, and how near a limit nothing is decided: copy/likeness.ts. */
    minDisplacedTensors: positive,
    maxLayerShare: z.number().gt(0),
    maxBehaviourJs: z.number().gt(0),
    minActivationCosine: z.number().min(0).lt(1),
    band: z.number().min(1),
  }),
  /** Bounds of the weights' values, of every family. */
  numbers: z.strictObject({
    maxAbs: z.number().gt(0),
    maxNormWeight: z.number().gt(0),
    /** Of a tensor, or a row of it, to the base model's tensor. */
    maxRmsRatio: z.number().gt(1),
    maxRouterBias: z.number().gt(0),
    maxDenormalShare: share,
  }),
  limits: z.strictObject({
    maxParameters: positive,
    maxConfigBytes: positive,
    maxTokenizerBytes: positive,
    maxReadmeBytes: positive,
    maxHeaderBytes: positive,
    /** 1: weights in one file only. */
    maxShards: z.int().min(1).max(32),
  }),
  /** What published checkpoints carry along: never downloaded, parsed or run. */
  tolerated: z.strictObject({
    /** The very `auto_map` that a config may have at its top. */
    autoMap: z.record(z.string(), z.string()).nullable(),
    /** Files that a listing may hold when they equal those of the base checkpoint, byte for byte. */
    codeFiles: z.array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*\.py$/)),
  }),
});

export type SubnetConfig = z.infer<typeof schema>;

/** The published contest on netuid 24. */
export const UPSTREAM: SubnetConfig = {
  rulesVersion: '3',
  netuid: 24,
  round: {
    blocks: 720,
    cutoffBlocks: 20,
    activationBlocks: 600,
    lateStartGraceBlocks: 180,
    giveUpBlocks: 900,
    firstBlock: 8_382_960,
  },
  candidates: {
    ...{ maxPerRound: 5, rateWindowBlocks: 7200, maxPerHotkey: 2, maxPerOwner: 2 },
    stale: { failedVisits: 3, longestPauseRounds: 16 },
  },
  duel: {
    prompts: 300,
    minPrompts: 100,
    alpha: 0.03,
    confidenceZ: 1.96,
    // Published: 0, and 0.0015 in the sibling contest of Quasar pairs. With 0 noise on a king's weights, which gains up to 0.0004
    // nats, wins one duel in ten; with 0.0015 none (`node bench/duel.js`).
    minDelta: 0.0015,
    // 0.025 of the last look and 0.005 of all looks before it: an equal challenger wins with at most the 3 % of `alpha`.
    sequential: {
      lookEvery: 8,
      win: { alpha: 0.005, minPrompts: 150 },
      futility: { minProbability: 0.005, minPrompts: 40, skipAxes: true },
    },
    maxPromptTokens: 1024,
    continuationTokens: 1024,
    temperature: 0.7,
    topP: 0.9,
    topK: 128,
    bootstrapResamples: 2000,
  },
  kl: { fraudKl: 1e-6, maxKl: 4, baseFactor: 1.25 },
  axes: UPSTREAM_AXES,
  revalidation: { everyRounds: 1, prompts: 60 },
  crown: { qualityTolerance: 0.03, qualityFloor: 0.06, minQualityAxes: 4 },
  pareto: { margin: 0.02, minAxes: 5 },
  weights: {
    winnerShare: 0.9,
    reserveShare: 0.1,
    reserveUid: null,
    noWinnerUid: null,
    fallbackToOwnUid: false,
    refreshBlocks: 100,
  },
  copies: {
    minIdenticalRatio: 0.9,
    minIdenticalTensors: 12,
    chunksPerTensor: 8,
    minChunkRatio: 0.9,
    minChunks: 64,
    minSamples: 512,
    samplesPerTensor: 64,
    minCosine: 0.999999,
    maxRelativeL2: 0.001,
    minDisplacedTensors: 4,
    maxLayerShare: 0.15,
    maxBehaviourJs: 1e-3,
    minActivationCosine: 0.99999,
    band: 1.25,
  },
  numbers: { maxAbs: 1e4, maxNormWeight: 30, maxRmsRatio: 100, maxRouterBias: 30, maxDenormalShare: 0.01 },
  limits: {
    maxParameters: 3_500_000_000,
    maxConfigBytes: 65_536,
    maxTokenizerBytes: 33_554_432,
    maxReadmeBytes: 1_048_576,
    maxHeaderBytes: 16_777_216,
    maxShards: 16,
  },
  tolerated: {
    autoMap: {
      AutoConfig: 'configuration_quasar.QuasarConfig',
      AutoModelForCausalLM: 'modeling_quasar.QuasarForCausalLM',
    },
    codeFiles: ['configuration_quasar.py', 'modeling_quasar.py'],
  },
};

/** The contest on the embedded chain. */
export const LOCAL: SubnetConfig = {
  ...UPSTREAM,
  round: {
    blocks: 40,
    cutoffBlocks: 2,
    activationBlocks: 10,
    lateStartGraceBlocks: 40,
    giveUpBlocks: 1200,
    firstBlock: 0,
  },
  candidates: { ...UPSTREAM.candidates, rateWindowBlocks: 400, maxPerHotkey: 10, maxPerOwner: 10 },
  duel: {
    ...UPSTREAM.duel,
    prompts: 120,
    sequential: {
      lookEvery: 8,
      win: { alpha: 0.005, minPrompts: 100 },
      // A miner at home learns more from the axes than they cost.
      futility: { minProbability: 0.005, minPrompts: 40, skipAxes: false },
    },
    maxPromptTokens: 192,
    continuationTokens: 32,
    topK: 32,
  },
  kl: { ...UPSTREAM.kl, maxKl: 6 },
  axes: LOCAL_AXES,
  // Some seconds of work every half hour: a laptop where nobody submits stays quiet.
  revalidation: { everyRounds: 90, prompts: 24 },
  // Of challengers as good as the king 10 % refuses one in 23, and 3 % would refuse one in three (`node bench/duel.js`).
  crown: { ...UPSTREAM.crown, qualityTolerance: 0.1 },
  weights: { ...UPSTREAM.weights, fallbackToOwnUid: true, refreshBlocks: 200 },
  // Noise far below one BF16 step still flips a few values by a whole step: 0.4 % of the weights' size in all.
  copies: { ...UPSTREAM.copies, minCosine: 0.99999, maxRelativeL2: 0.004 },
  limits: { ...UPSTREAM.limits, maxParameters: 50_000_000, maxShards: 4 },
  tolerated: { autoMap: null, codeFiles: [] },
};

/** Read a complete config. Reports every finding. */
export function parseSubnetConfig(json: unknown): Result<SubnetConfig> {
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data };
  const issues: Issue[] = parsed.error.issues.map((one) => ({
    code: 'subnet.bad_config',
    path: one.path.join('.'),
    message: one.message,
  }));
  return { ok: false, issues };
}

/**
 * Names the rules a verdict was made under: two validators with the same hash can be compared. Who gets the reserve's share is no
 * part of it: no verdict depends on that, and a validator whose rules name nobody takes itself.
 */
export function configHash(config: SubnetConfig): string {
  return sha256Hex(canonicalJson({ ...config, weights: { ...config.weights, reserveUid: null } }));
}
