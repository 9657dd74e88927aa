/** @file Rules of a net whose rounds take seconds: few prompts, one axis, a crown for whoever wins the duel. */
import { LOCAL, type SubnetConfig } from '@quasar/subnet';

export function quickRules(): SubnetConfig {
  const named = ['kl', 'math_bench'];
  return {
    ...LOCAL,
    round: {
      blocks: 40,
      cutoffBlocks: 3,
      activationBlocks: 20,
      lateStartGraceBlocks: 39,
      giveUpBlocks: 150,
      firstBlock: 0,
    },
    candidates: { ...LOCAL.candidates, maxPerRound: 3, rateWindowBlocks: 400, maxPerHotkey: 50, maxPerOwner: 50 },
    duel: {
      ...LOCAL.duel,
      ...{ prompts: 48, minPrompts: 10, maxPromptTokens: 64, continuationTokens: 8, topK: 16, bootstrapResamples: 50 },
    },
    axes: {
      ...LOCAL.axes,
      specs: LOCAL.axes.specs.map((spec) => ({
        ...spec,
        weight: named.includes(spec.name) ? spec.weight : 0,
        minValid: 1,
        questions:
          named.includes(spec.name) && spec.questions ? { ...spec.questions, items: 2, maxNewTokens: 4 } : null,
      })),
      onPolicy: { ...LOCAL.axes.onPolicy, prompts: 1, maxNewTokens: 4 },
      broken: { minTeacher: 0, needsBaseAboveZero: false },
    },
    // Counted rounds are those with challengers.
    revalidation: null,
    crown: { qualityTolerance: 1, qualityFloor: 0, minQualityAxes: 0 },
    weights: { ...LOCAL.weights, reserveUid: 0, fallbackToOwnUid: true, refreshBlocks: 60 },
  };
}
