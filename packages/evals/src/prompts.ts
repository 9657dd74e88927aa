/**
 * @file The questions of a round: made from the hash of a block that did not exist when the models were committed.
 *
 * All of them come from the world's contest split. The same seed gives the same questions on every validator.
 */
import { encodeChat, type Tokenizer } from '@quasar/model';
import { generateItem, TASKS, type WorldItem } from '@quasar/world';

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
    const question = `${item.task}\n${item.content}`;
    if (seen.has(question)) spare.push(prompt);
    else prompts.push(prompt);
    seen.add(question);
  }
  return [...prompts, ...spare].slice(0, count);
}

/** One question of an axis. */
export interface AxisItem {
  axis: string;
  item: WorldItem;
}

/** Axes that the world has tasks for. */
export const WORLD_AXES: readonly string[] = [...new Set(TASKS.map(({ axis }) => axis))];

/**
 * Questions per world axis, spread evenly over its tasks and over levels 0 to `maxLevel`.
 * @param counts questions per axis; names that are no world axis are ignored
 * @param maxLevel null: levels as the world draws them
 */
export function axisItems(
  seed: string,
  counts: readonly { name: string; items: number }[],
  maxLevel: number | null,
): AxisItem[] {
  const items: AxisItem[] = [];
  for (const { name, items: count } of counts) {
    const tasks = TASKS.filter(({ axis }) => axis === name);
    for (let i = 0; i < count && tasks.length > 0; i++) {
      const task = tasks[i % tasks.length]!;
      const levels = maxLevel === null ? 0 : Math.min(maxLevel + 1, task.levels);
      const level = levels === 0 ? undefined : Math.floor(i / tasks.length) % levels;
      items.push({
        axis: name,
        item: generateItem(`${seed}/axis/${name}/${i}`, 'contest', { tasks: [task.name], level }),
      });
    }
  }
  return items;
}
