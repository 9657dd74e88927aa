/**
 * @file The questions of a round: made from the hash of a block that did not exist when the models were committed.
 *
 * All of them come from the world's contest split. The same seed gives the same questions on every validator.
 */
import { encodeChat, type Tokenizer } from '@quasar/model';
import { generateItem, reword, type WordingChange, type WorldItem } from '@quasar/world';
import { AXES, type AxisName, type Rung } from './axes/catalogue.ts';

export interface DuelPromptOptions {
  count: number;
  maxPromptTokens: number;
}

/** Draws per wanted prompt before repeated questions are taken anyway: small tasks run out of contest questions. */
const MAX_DRAWS_PER_PROMPT = 20;

/**
 * Prompts of the duel: distinct questions of all tasks, each ending where the reply begins.
 * @returns exactly `count` token sequences, unless nearly all questions are longer than `maxPromptTokens`
 */
export function duelPrompts(seed: string, tokenizer: Tokenizer, options: DuelPromptOptions): Int32Array[] {
  const { count, maxPromptTokens } = options;
  const prompts: Int32Array[] = [];
  const spare: Int32Array[] = [];
  const seen = new Set<string>();
  for (let draw = 0; prompts.length < count && draw < count * MAX_DRAWS_PER_PROMPT; draw++) {
    const item = generateItem(`${seed}/duel/${draw}`, 'contest');
    const prompt = encodeChat(tokenizer, item.messages, { addGenerationPrompt: true });
    if (prompt.length > maxPromptTokens) continue;
    const question = questionOf(item);
    if (seen.has(question)) spare.push(prompt);
    else prompts.push(prompt);
    seen.add(question);
  }
  return [...prompts, ...spare].slice(0, count);
}

/** What an axis asks in a round. */
export interface AxisQuestions {
  name: AxisName;
  /** Questions; 0: the axis asks none. */
  items: number;
  /** First and last rung of the axis' ladder, both inclusive; they are asked in turn. */
  rungs: readonly [number, number];
  maxNewTokens: number;
  /** A right reply of more tokens counts less for `reasoning_density`; null: it does not count there. */
  targetTokens: number | null;
}

export interface WordingRules {
  /** How the wording of every question is changed. */
  changes: readonly WordingChange[];
  /** Wordings of each question of a robust axis. */
  wordings: number;
}

/** One prompt of an axis. */
export interface AxisItem {
  axis: AxisName;
  item: WorldItem;
  /** Wordings of one question of an axis share its number. */
  question: number;
  maxNewTokens: number;
  targetTokens: number | null;
}

/** Slips only: what `noise_resistance` adds whatever the rules say. */
const NOISE: readonly WordingChange[] = ['typo', 'case', 'space'];

/** Items of every axis that asks something, distinct within an axis as far as its tasks allow, axis after axis. */
export function axisItems(seed: string, axes: readonly AxisQuestions[], wording: WordingRules): AxisItem[] {
  return axes.flatMap(({ name, items, rungs, maxNewTokens, targetTokens }) => {
    const { kind, ladder } = AXES[name];
    const asked = ladder.slice(rungs[0], rungs[1] + 1);
    const seen = new Set<string>();
    return Array.from({ length: asked.length === 0 ? 0 : items }, (_, question) => {
      const rung = asked[question % asked.length]!;
      const from = distinctSeed(`${seed}/axis/${name}/${question}`, rung, seen);
      const count = kind === 'robust' ? wording.wordings : 1;
      return Array.from({ length: count }, (_, version): AxisItem => {
        const changes = name === 'noise_resistance' ? NOISE : wording.changes;
        const item = reword(draw(from, rung, version), `${seed}/${version}`, changes);
        return { axis: name, item, question, maxNewTokens, targetTokens };
      });
    }).flat();
  });
}

/** The first seed whose question was not asked yet. */
function distinctSeed(seed: string, rung: Rung, seen: Set<string>): string {
  for (let draws = 0; draws < MAX_DRAWS_PER_PROMPT; draws++) {
    const question = questionOf(draw(`${seed}/${draws}`, rung, 0));
    if (seen.has(question)) continue;
    seen.add(question);
    return `${seed}/${draws}`;
  }
  return `${seed}/0`;
}

function draw(seed: string, { task, level }: Rung, wording: number): WorldItem {
  return generateItem(seed, 'contest', { tasks: [task], level, wording });
}

function questionOf({ task, content }: WorldItem): string {
  return `${task}\n${content}`;
}

/** Items of the training split for the rungs of an axis, worded as the rules say: what a miner may practise on. */
export function practiceItems(
  seed: string,
  { name, rungs, items }: Pick<AxisQuestions, 'name' | 'rungs' | 'items'>,
  wording: Pick<WordingRules, 'changes'>,
): WorldItem[] {
  const ladder = AXES[name].ladder.slice(rungs[0], rungs[1] + 1);
  return Array.from({ length: ladder.length === 0 ? 0 : items }, (_, i) => {
    const { task, level } = ladder[i % ladder.length]!;
    const from = `${seed}/practice/${name}/${i}`;
    return reword(generateItem(from, 'train', { tasks: [task], level }), from, wording.changes);
  });
}
