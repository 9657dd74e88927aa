/**
 * @file From a seed to an item, with training and contest disjoint by construction.
 *
 * The split of a question is a property of the question itself, not of who asks for it:
 *
 *     split(item) = contest  if the first byte of SHA-256(task, content) mod 8 = 0, else train
 *
 * `content` is what is asked without its wording, so the phrasings of one question share a split. Generation draws
 * items from the seed until one falls into the wanted split (1.14 draws on average for training, 8 for the contest).
 * No seed, level or task list can therefore put a question into both. What the splits do share are the parts of which
 * questions are made (words, digit pairs). Not prevented: a miner may train on the contest split by asking for it;
 * seeds of rounds come from block hashes, and only the spaces of the higher levels are too large to learn by heart.
 */
import { QuasarError, Rng, sha256Hex } from '@quasar/base';
import { ALL_TASKS, TASKS } from './tasks/index.ts';
import type { Task, Verdict, WorldItem } from './types.ts';
import { OtherWording } from './words.ts';

export type Split = 'train' | 'contest';

export interface GenerateOptions {
  /** Names of tasks to draw from, all with the same chance. Default: those of `TASKS`. */
  tasks?: readonly string[] | undefined;
  /** Default: drawn, level n half as often as level n - 1. */
  level?: number | undefined;
  /** Any number but 0: the same question, with the same answer, in the phrasing that stands so many further. Default 0. */
  wording?: number | undefined;
}

/** A draw misses the contest split 7 times in 8; 2000 misses in a row mean a task with hardly any content. */
const MAX_DRAWS = 2000;

const BY_NAME = new Map(ALL_TASKS.map((task) => [task.name, task]));

/** The split of any item, also of one made elsewhere. */
export function splitOf(item: WorldItem): Split {
  return Number.parseInt(sha256Hex(`${item.task}\n${item.content}`).slice(0, 2), 16) % 8 === 0 ? 'contest' : 'train';
}

/** One item: equal arguments give equal items on every machine. @throws QuasarError `world.unknown_task`, `world.unknown_level` */
export function generateItem(seed: string, split: Split, options: GenerateOptions = {}): WorldItem {
  const tasks = (options.tasks ?? TASKS.map((task) => task.name)).map(taskByName);
  const rng = new Rng(`world/${split}/${seed}`);
  if (tasks.length === 0) throw new QuasarError('world.unknown_task', 'generateItem: the list of tasks is empty');
  const task = rng.pick(tasks);
  const level = options.level ?? drawLevel(rng, task.levels);
  if (!Number.isInteger(level) || level < 0 || level >= task.levels) {
    throw new QuasarError(
      'world.unknown_level',
      `generateItem: ${task.name} has levels 0 to ${task.levels - 1}, got ${level}`,
      { hint: 'leave `level` out to draw one' },
    );
  }
  // The label of `rng.fork`, so that all wordings draw the same.
  const { wording = 0 } = options;
  const label = `${task.name}/${level}`;
  const draws = wording === 0 ? rng.fork(label) : new OtherWording(`world/${split}/${seed}/${label}`, wording);
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const item = task.generate(draws, level);
    if (splitOf(item) === split) return item;
  }
  throw new QuasarError(
    'world.split_empty',
    `generateItem: no ${split} item in ${MAX_DRAWS} draws of ${task.name} at level ${level}`,
    { hint: 'give the task more content to draw from' },
  );
}

/** Judges a reply with the task that made the item. @throws QuasarError `world.unknown_task`; never because of the reply */
export function checkReply(item: WorldItem, reply: string): Verdict {
  return taskByName(item.task).check(item, reply);
}

function taskByName(name: string): Task {
  const task = BY_NAME.get(name);
  if (task) return task;
  throw new QuasarError('world.unknown_task', `world: no task ${JSON.stringify(name)}`, {
    hint: `known tasks: ${[...BY_NAME.keys()].join(', ')}`,
  });
}

/** P(level) falls by half per level. */
function drawLevel(rng: Rng, levels: number): number {
  const total = 2 ** levels - 1;
  return levels - 1 - Math.floor(Math.log2(rng.int(1, total)));
}
