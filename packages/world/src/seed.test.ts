import { sha256Hex } from '@quasar/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { generateItem, type Split, splitOf } from './seed.ts';
import { TASKS } from './tasks/index.ts';
import type { WorldItem } from './types.ts';

const names = TASKS.map((task) => task.name);
const split = fc.constantFrom<Split>('train', 'contest');

function draw(count: number, split: Split, options: Parameters<typeof generateItem>[2] = {}): WorldItem[] {
  return Array.from({ length: count }, (_, i) => generateItem(`${split} ${i}`, split, options));
}

/** What a model sees. */
const prompt = (item: WorldItem) => JSON.stringify(item.messages);

describe('generateItem', () => {
  test('equal arguments give equal items, other seeds give others', () => {
    fc.assert(
      fc.property(fc.string(), split, (seed, which) => {
        expect(generateItem(seed, which)).toEqual(generateItem(seed, which));
      }),
    );
    expect(new Set(draw(200, 'contest').map(prompt)).size).toBeGreaterThan(190);
  });

  test('items are the same on every machine and in every version', () => {
    // Validators compare scores of the same seeds: a change here is a change of the contest.
    const items = [...draw(500, 'train'), ...draw(500, 'contest')];
    expect(sha256Hex(JSON.stringify(items))).toBe('ff66391b910bfe5482ba717f58df01daa401604f0e4fa2b048866f4c83d81ba1');
  });

  test.each(names)('%s: training and contest share no question, at any level', (task) => {
    const splitOfPrompt = new Map<string, Split>();
    const splitOfContent = new Map<string, Split>();
    for (let level = 0; level < 4; level++) {
      for (const which of ['train', 'contest'] as const) {
        for (const item of draw(300, which, { tasks: [task], level })) {
          expect(splitOf(item)).toBe(which);
          expect(splitOfPrompt.get(prompt(item)) ?? which).toBe(which);
          expect(splitOfContent.get(item.content) ?? which).toBe(which);
          splitOfPrompt.set(prompt(item), which);
          splitOfContent.set(item.content, which);
        }
      }
    }
  });

  test('one prompt has one content, so no phrasing can be in both splits', () => {
    const contents = new Map<string, string>();
    for (const item of [...draw(3000, 'train'), ...draw(3000, 'contest')]) {
      expect(contents.get(prompt(item)) ?? item.content).toBe(item.content);
      contents.set(prompt(item), item.content);
    }
  });

  test('without a level, level n comes half as often as level n - 1', () => {
    const counts = [0, 0, 0, 0];
    for (const item of draw(3000, 'train')) counts[item.level]!++;
    for (const [level, share] of [8 / 15, 4 / 15, 2 / 15, 1 / 15].entries()) {
      expect(counts[level]! / 3000).toBeCloseTo(share, 1);
    }
  });

  test('every task comes up and the list of tasks is kept', () => {
    expect(new Set(draw(300, 'train').map((item) => item.task))).toEqual(new Set(names));
    expect(new Set(draw(100, 'contest', { tasks: ['copy', 'sort'] }).map((item) => item.task))).toEqual(
      new Set(['copy', 'sort']),
    );
  });

  test('refuses unknown tasks and levels', () => {
    expect(() => generateItem('s', 'train', { tasks: ['juggling'] })).toThrow(/no task "juggling"/);
    expect(() => generateItem('s', 'train', { tasks: [] })).toThrow(/list of tasks is empty/);
    for (const level of [-1, 4, 0.5, Number.NaN]) {
      expect(() => generateItem('s', 'train', { level })).toThrow(
        expect.objectContaining({ code: 'world.unknown_level' }),
      );
    }
  });
});
