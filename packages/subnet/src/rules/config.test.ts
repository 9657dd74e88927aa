import { describe, expect, it } from 'vitest';
import { configHash, LOCAL, parseSubnetConfig, UPSTREAM } from './config.ts';
import { checkKlLimits } from './kl-limits.ts';

describe('parseSubnetConfig', () => {
  it('accepts both profiles as they are', () => {
    expect(parseSubnetConfig(UPSTREAM)).toEqual({ ok: true, value: UPSTREAM });
    expect(parseSubnetConfig(LOCAL)).toEqual({ ok: true, value: LOCAL });
    expect(configHash(UPSTREAM)).not.toBe(configHash(LOCAL));
    // Whoever takes the reserve's share, the verdicts are the same.
    const reserved = { ...LOCAL, weights: { ...LOCAL.weights, reserveUid: 7 } };
    expect(configHash(reserved)).toBe(configHash(LOCAL));
    const shares = { ...LOCAL, weights: { ...LOCAL.weights, winnerShare: 0.8, reserveShare: 0.2 } };
    expect(configHash(shares)).not.toBe(configHash(LOCAL));
  });

  it('refuses unknown keys and impossible numbers, all of them at once', () => {
    const bad = {
      ...LOCAL,
      minPromts: 3,
      duel: { ...LOCAL.duel, alpha: 2 },
      weights: { ...LOCAL.weights, winnerShare: 0.8 },
    };
    const result = parseSubnetConfig(bad);
    expect(result.ok ? [] : result.issues.map((i) => i.path).sort()).toEqual(['', 'duel.alpha', 'weights']);
  });

  it('holds the published numbers', () => {
    expect(UPSTREAM.duel).toMatchObject({ prompts: 300, minPrompts: 100, alpha: 0.03, confidenceZ: 1.96, topK: 128 });
    expect(UPSTREAM.crown).toEqual({ qualityTolerance: 0.03, qualityFloor: 0.06, minQualityAxes: 4 });
    expect(UPSTREAM.axes.specs.filter((a) => !['kl', 'on_policy_rkl'].includes(a.name)).length).toBeGreaterThan(6);
  });
});

describe('checkKlLimits', () => {
  it('refuses the teacher itself and what has not learned, never an honest fine-tune of a bad base', () => {
    expect(checkKlLimits(1e-6, 2, UPSTREAM.kl)?.code).toBe('eval.teacher_identical');
    expect(checkKlLimits(4.1, 2, UPSTREAM.kl)?.code).toBe('eval.kl_above_threshold');
    expect(checkKlLimits(4, 2, UPSTREAM.kl)).toBeNull();
    expect(checkKlLimits(7.4, 6, UPSTREAM.kl)).toBeNull();
  });
});
