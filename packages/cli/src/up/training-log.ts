/** @file Held-out losses of the scripted miners, kept in the home: a resumed run still knows how the first part went. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '@quasar/base';
import type { Evaluation } from '@quasar/train';
import type { Home } from '../home.ts';

export class TrainingLog {
  readonly #path: string;
  readonly #curves: Map<string, Evaluation[]>;

  constructor(home: Home) {
    this.#path = join(home.root, 'miners', 'held-out.json');
    this.#curves = new Map(existsSync(this.#path) ? Object.entries(JSON.parse(readFileSync(this.#path, 'utf8'))) : []);
  }

  /** A miner that resumes measures its first step again: the newest value of a step counts. */
  record(miner: string, evaluation: Evaluation): void {
    const known = (this.#curves.get(miner) ?? []).filter((one) => one.step < evaluation.step);
    this.#curves.set(miner, [...known, evaluation]);
    writeFileAtomic(this.#path, JSON.stringify(Object.fromEntries(this.#curves)));
  }

  all(): { miner: string; curve: Evaluation[] }[] {
    return [...this.#curves].map(([miner, curve]) => ({ miner, curve }));
  }
}
