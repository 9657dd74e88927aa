import { describe, expect, it } from 'vitest';
import type { ContestEvents, NewContestEvent } from '../events.ts';
import type { RoundState } from '../projection.ts';
import { LOCAL, type SubnetConfig } from '../rules/config.ts';
import { BASE_ID, BASE_UID, type Submission } from '../rules/submission.ts';
import { judgeRound } from './judge-round.ts';

const N = 120;
const config: SubnetConfig = {
  ...LOCAL,
  duel: { ...LOCAL.duel, sequential: null, minDelta: 0 },
  axes: {
    ...LOCAL.axes,
    specs: [
      { name: 'kl', weight: 0.15, minValid: 1, questions: null },
      { name: 'on_policy_rkl', weight: 0.35, minValid: 1, questions: null },
      { name: 'math_bench', weight: 0.14, minValid: 1, questions: null },
      { name: 'code_bench', weight: 0.14, minValid: 1, questions: null },
    ],
  },
  crown: { qualityTolerance: 0.03, qualityFloor: 0.06, minQualityAxes: 1 },
};

function submission(id: string, uid: number, revealedAtBlock: number): Submission {
  return { id, uid, hotkey: id, repo: `${id}/m`, revision: id.repeat(40).slice(0, 40), revealedAtBlock };
}

const base: Submission = { ...submission(BASE_ID, BASE_UID, 0), repo: 'base' };

interface Measured {
  gain?: number;
  math?: number;
  code?: number;
  rkl?: number | null;
}

/** A round where each model is `gain` nats better than the base, with a noise of its own. */
function evidence(challengers: (Submission & Measured)[], teacher: Measured = {}) {
  const at = { round: 7, atBlock: 300 };
  const round: RoundState = {
    ...at,
    startBlock: 280,
    cutoffBlock: 278,
    seedBlock: 280,
    seedHash: '0xabc',
    activationBlock: 290,
    candidates: challengers.map(({ id }) => id),
    waiting: [],
    incumbent: BASE_ID,
    configHash: 'rules',
    startedAtMs: 0,
    finishedAtMs: null,
    outcome: null,
    verdict: null,
    revalidated: null,
    scored: new Map(),
    duels: new Map(),
    kl: new Map(),
    axes: new Map(),
    failed: new Map(),
  };
  const put = (id: string, { gain = 0, math = 0.5, code = 0.5, rkl = 1 }: Measured) => {
    const phase = id.charCodeAt(0);
    const perPrompt = Array.from(
      { length: N },
      (_, i) => 2 + 0.1 * Math.sin(i) - gain + 0.01 * Math.sin(phase * (i + 1)),
    );
    const axes = { math_bench: { value: math, n: 10 }, code_bench: { value: code, n: 10 } };
    round.kl.set(id, { ...at, id, part: 'kl', perPrompt });
    round.axes.set(id, { ...at, id, part: 'axes', axes, rkl, rklPrompts: rkl === null ? 0 : 4 });
  };
  put('teacher', { math: 0.9, code: 0.9, ...teacher });
  put(BASE_ID, {});
  for (const one of challengers) put(one.id, one);
  return { round, config, configHash: 'rules', atBlock: 300, incumbent: base, challengers };
}

function of<T extends keyof ContestEvents>(events: NewContestEvent[], type: T): ContestEvents[T][] {
  return events.filter((event) => event.type === type).map(({ data }) => data as ContestEvents[T]);
}

describe('judgeRound', () => {
  it('is a pure function of the evidence, with one key per verdict', () => {
    const input = evidence([{ ...submission('a', 1, 5), gain: 0.2 }]);
    const events = judgeRound(input);
    expect(judgeRound(input)).toEqual(events);
    expect(events.map(({ type, key }) => `${type} ${key}`)).toEqual([
      'evaluation.scored 7:base',
      'evaluation.scored 7:a',
      'duel.judged 7:a',
      'round.judged 7',
    ]);
    const [duel] = of(events, 'duel.judged');
    expect(duel).toMatchObject({ win: true, n: N, king: { uid: -1, repo: 'base' }, crownGate: { passed: true } });
    expect(duel!.meanDelta).toBeCloseTo(duel!.kingKl - duel!.challengerKl, 12);
    expect(duel!.bootstrap.low).toBeGreaterThan(0);
    expect(of(events, 'round.judged')).toMatchObject([{ crowned: 'a', configHash: 'rules' }]);
  });

  it('a better KL with a worse quality loses at the second gate', () => {
    const events = judgeRound(evidence([{ ...submission('a', 1, 5), gain: 0.2, math: 0.1 }]));
    const [duel] = of(events, 'duel.judged');
    expect(duel).toMatchObject({ win: true, crownGate: { passed: false } });
    expect(duel!.crownGate.reasons[0]).toContain('quality 0.3000 is below 0.4850');
    expect(of(events, 'round.judged')).toMatchObject([{ crowned: null }]);
  });

  it('tied winners wait for the new king; a clearly second one is told who was better', () => {
    const events = judgeRound(
      evidence([
        { ...submission('a', 1, 5), gain: 0.2 },
        { ...submission('b', 2, 6), gain: 0.2, math: 0.6 },
        { ...submission('c', 3, 4), gain: 0.1 },
      ]),
    );
    expect(of(events, 'round.judged')).toMatchObject([{ crowned: 'a', deferred: ['b'] }]);
    const gates = of(events, 'duel.judged').map(({ crownGate }) => crownGate);
    expect(gates.map(({ passed }) => passed)).toEqual([true, true, false]);
    expect(gates[2]!.reasons).toEqual(['outranked in the same round by uid 1 (a/m)']);
  });

  it('relative axes compare with the round: the best on-policy text and the incumbent have one', () => {
    const events = judgeRound(evidence([{ ...submission('a', 1, 5), gain: 0.5, rkl: 0.25 }]));
    const [incumbent, challenger] = of(events, 'evaluation.scored');
    expect(challenger!.axes.on_policy_rkl).toEqual({ value: 1, n: 4, broken: false });
    expect(incumbent!.axes.on_policy_rkl!.value).toBe(0.25);
    expect([incumbent, challenger].map((one) => one!.axes.kl!.value)).toEqual([1, 1]);
  });

  it('an axis that the teacher fails counts for nothing but the record', () => {
    const events = judgeRound(evidence([{ ...submission('a', 1, 5), gain: 0.2, code: 0 }], { code: 0.1 }));
    const challenger = of(events, 'evaluation.scored')[1]!;
    expect(challenger.axes.code_bench).toEqual({ value: 0, n: 10, broken: true });
    expect(challenger.quality).toBe(0.5);
    expect(of(events, 'round.judged')).toMatchObject([{ crowned: 'a' }]);
  });

  it('the teacher itself and a model that learned nothing are INVALID and in no duel', () => {
    const teacherCopy = { ...submission('a', 1, 5), gain: 2.2 };
    const hopeless = { ...submission('b', 2, 6), gain: -9 };
    const events = judgeRound(evidence([teacherCopy, hopeless]));
    expect(of(events, 'submission.rejected').map(({ id, status, issues }) => [id, status, issues[0]!.code])).toEqual([
      ['a', 'INVALID', 'eval.teacher_identical'],
      ['b', 'INVALID', 'eval.kl_above_threshold'],
    ]);
    expect(of(events, 'duel.judged')).toEqual([]);
  });

  it('a model that says nothing on its own has no on-policy axis', () => {
    const events = judgeRound(evidence([{ ...submission('a', 1, 5), gain: 0.2, rkl: null }]));
    expect(of(events, 'evaluation.scored')[1]!.axes).not.toHaveProperty('on_policy_rkl');
  });

  it('never judges on gaps', () => {
    const input = evidence([submission('a', 1, 5)]);
    input.round.axes.delete('a');
    expect(() => judgeRound(input)).toThrow('no axes of a');
  });

  describe('with early stopping', () => {
    const sequential = {
      lookEvery: 8,
      win: { alpha: 0.005, minPrompts: 100 },
      futility: { minProbability: 0.005, minPrompts: 40, skipAxes: true },
    };
    const stopping = { ...config, duel: { ...config.duel, sequential } };
    const early = (input: ReturnType<typeof evidence>) => judgeRound({ ...input, config: stopping });
    const winner = { ...submission('a', 1, 5), gain: 0.2 };
    const loser = { ...submission('b', 2, 6), gain: -0.2 };

    it('a duel counts up to where it was decided, for the king too', () => {
      const events = early(evidence([winner, loser]));
      const [won, lost] = of(events, 'duel.judged');
      expect(won).toMatchObject({ win: true, n: 104, sequential: { reason: 'win', prompts: N } });
      expect(lost).toMatchObject({ win: false, n: 40, sequential: { reason: 'futility', prompts: N }, pareto: null });
      expect(lost!.crownGate.reasons).toEqual(['the duel was lost after 40 prompts: the axes were not measured']);
      for (const duel of [won!, lost!]) expect(duel.meanDelta).toBeCloseTo(duel.kingKl - duel.challengerKl, 12);
      const scored = of(events, 'evaluation.scored').map(({ kl }) => kl.perPrompt.length);
      expect(scored).toEqual([N, 104, 40]);
      expect(of(events, 'round.judged')).toMatchObject([{ crowned: 'a' }]);
    });

    it('whoever measured no further than the decision says the same as whoever measured everything', () => {
      const whole = evidence([winner, loser]);
      const cut = evidence([winner, loser]);
      for (const [id, n] of [
        ['a', 104],
        ['b', 40],
      ] as const)
        cut.round.kl.get(id)!.perPrompt.splice(n);
      cut.round.axes.delete('b');
      expect(early(cut)).toEqual(early(whole));
    });

    it('the axes of a lost duel are needed where the rules do not leave them out', () => {
      const input = evidence([winner, loser]);
      input.round.axes.delete('b');
      const { futility } = sequential;
      const asking = { ...sequential, futility: { ...futility, skipAxes: false } };
      const rules = { ...config, duel: { ...config.duel, sequential: asking } };
      expect(() => judgeRound({ ...input, config: rules })).toThrow('no axes of b');
    });

    it('never judges a duel that is not decided', () => {
      const input = evidence([winner]);
      input.round.kl.get('a')!.perPrompt.splice(100);
      expect(() => early(input)).toThrow('a has 100 of 120 prompts in round 7, undecided');
    });
  });

  it('shows the axes won and lost beside the verdict', () => {
    const [duel] = of(judgeRound(evidence([{ ...submission('a', 1, 5), gain: 0.2, math: 0.6 }])), 'duel.judged');
    expect(duel!.pareto).toMatchObject({ wins: ['math_bench'], losses: [], dominates: false });
    expect(duel!.pareto!.ties).toContain('code_bench');
  });
});
