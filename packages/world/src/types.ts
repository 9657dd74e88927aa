/** @file What the world is made of: items (a prompt with one checkable answer) and the tasks that make and judge them. */
import type { Rng } from '@quasar/base';

export interface WorldMessage {
  role: 'system' | 'user' | 'assistant' | 'tool';
  content: string;
}

export interface WorldItem {
  /** Name of the task that made it and that judges replies to it. */
  task: string;
  /** Difficulty, 0 is the easiest. */
  level: number;
  /** The prompt. Ends with a user or tool turn; earlier assistant turns are part of the question. */
  messages: WorldMessage[];
  /** A correct reply. */
  answer: string;
  /** What is asked, without its wording: equal for two phrasings of one question. Decides the split (seed.ts). */
  content: string;
}

export interface Verdict {
  correct: boolean;
  /** One short sentence for reports; never contains more than a few characters of the reply. */
  reason: string;
}

export interface Task {
  readonly name: string;
  /** Levels are 0 .. levels - 1. */
  readonly levels: number;
  /** Draws one item; uses no randomness but `rng`. */
  generate(rng: Rng, level: number): WorldItem;
  /** Judges a reply from an untrusted model. Never throws on any text. */
  check(item: WorldItem, reply: string): Verdict;
}
