import { trainBpe } from '@quasar/model';
import { splitOf } from '@quasar/world';
import { describe, expect, it } from 'vitest';
import { axisItems, duelPrompts, WORLD_AXES } from './prompts.ts';

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
  it('asks contest questions of the axis, at most as hard as allowed', () => {
    const items = axisItems(
      '0xabc',
      WORLD_AXES.map((name) => ({ name, items: 6 })),
      1,
    );
    expect(items).toHaveLength(6 * WORLD_AXES.length);
    expect(WORLD_AXES.length).toBeGreaterThanOrEqual(6);
    for (const { item } of items) {
      expect(splitOf(item)).toBe('contest');
      expect(item.level).toBeLessThanOrEqual(1);
    }
    expect(new Set(items.map(({ item }) => item.level))).toEqual(new Set([0, 1]));
  });

  it('ignores axes without tasks', () => {
    expect(axisItems('x', [{ name: 'kl', items: 5 }], null)).toEqual([]);
  });
});
