import { trainBpe } from '@quasar/model';
import { generateItem, splitOf, WORDING_CHANGES } from '@quasar/world';
import { describe, expect, it } from 'vitest';
import { AXES, AXIS_NAMES, type AxisName } from './axes/catalogue.ts';
import { type AxisQuestions, axisItems, duelPrompts } from './prompts.ts';

const tokenizer = trainBpe(['what is the answer'], { vocabSize: 270 });

describe('duelPrompts', () => {
  const options = { count: 40, maxPromptTokens: 200 };
  const prompts = duelPrompts('0xabc', tokenizer, options);

  it('is a pure function of the seed', () => {
    expect(duelPrompts('0xabc', tokenizer, options)).toEqual(prompts);
    expect(duelPrompts('0xabd', tokenizer, options)).not.toEqual(prompts);
  });

  it('gives as many distinct prompts as asked for, within the limit, each ending where a reply begins', () => {
    expect(new Set(prompts.map(String)).size).toBe(40);
    for (const prompt of prompts) {
      expect(prompt.length).toBeLessThanOrEqual(200);
      expect(prompt.at(-1)).toBe(tokenizer.specials.assistant);
    }
  });
});

describe('axisItems', () => {
  const asking = AXIS_NAMES.filter((name) => AXES[name].ladder.length > 0);
  const questions = (rungs: (name: AxisName) => [number, number]): AxisQuestions[] =>
    asking.map((name) => ({ name, items: 5, rungs: rungs(name), maxNewTokens: 9, targetTokens: null }));
  const wording = { changes: [...WORDING_CHANGES], wordings: 2 };
  const whole = questions((name) => [0, AXES[name].ladder.length - 1]);

  it('asks distinct contest questions of the rungs in turn, robust axes in several wordings', () => {
    const items = axisItems('0xabc', whole, wording);
    for (const name of asking) {
      const own = items.filter(({ axis }) => axis === name);
      const { ladder, kind } = AXES[name];
      expect(own).toHaveLength(kind === 'robust' ? 10 : 5);
      expect(new Set(own.map(({ question }) => question))).toEqual(new Set([0, 1, 2, 3, 4]));
      for (const { item, question } of own) {
        expect(splitOf(item)).toBe('contest');
        expect({ task: item.task, level: item.level }).toEqual(ladder[question % ladder.length]);
      }
      expect(new Set(own.map(({ item }) => `${item.task} ${item.content}`)).size).toBe(5);
    }
  });

  it('wordings of a question share content and answer, and differ in text', () => {
    const robust = axisItems('0xabc', whole, wording).filter(({ axis }) => axis === 'robustness');
    for (let i = 0; i < robust.length; i += 2) {
      const [one, other] = [robust[i]!.item, robust[i + 1]!.item];
      expect(other.content).toBe(one.content);
      expect(other.answer).toBe(one.answer);
      expect(other.messages).not.toEqual(one.messages);
    }
  });

  it('is a pure function of the seed; every rung can be asked', () => {
    expect(axisItems('a', whole, wording)).toEqual(axisItems('a', whole, wording));
    expect(axisItems('b', whole, wording)).not.toEqual(axisItems('a', whole, wording));
    const first = axisItems(
      'a',
      questions(() => [0, 0]),
      { changes: [], wordings: 1 },
    );
    expect(first).toHaveLength(5 * asking.length);
    expect(first.every(({ axis, item }) => item.task === AXES[axis].ladder[0]!.task)).toBe(true);
    for (const name of asking)
      for (const { task, level } of AXES[name].ladder)
        expect(() => generateItem('x', 'contest', { tasks: [task], level })).not.toThrow();
  });
});
