/** @file The duels in the log of a home's validator, by their names. */
import { existsSync } from 'node:fs';
import { QuasarError } from '@quasar/base';
import type { StoredEvent } from '@quasar/store';
import type { DuelJudged } from '@quasar/subnet';
import type { Context } from '../context.ts';
import { Home } from '../home.ts';

export const DUEL_ID = '`<round>:<uid>` as `quasar duel list` shows it';

/** The whole log. @throws QuasarError `duel.no_log`, `store.*` */
export async function openLog(context: Context): Promise<(StoredEvent & { data: DuelJudged })[]> {
  const { contestFile } = new Home(context.home);
  if (!existsSync(contestFile))
    throw new QuasarError('duel.no_log', `${contestFile} is not there: no validator ever ran in this home`, {
      hint: 'Give the home of a validator with --home.',
    });
  const { openStore } = await import('@quasar/store');
  const store = openStore({ path: contestFile });
  try {
    return store.events() as (StoredEvent & { data: DuelJudged })[];
  } finally {
    store.close();
  }
}

export const nameOf = ({ round, uid }: DuelJudged) => `${round}:${uid}`;

/** @throws QuasarError `duel.unknown` */
export function findDuel(log: readonly StoredEvent[], id: string): StoredEvent<DuelJudged> {
  const duels = log.filter(({ type }) => type === 'duel.judged') as StoredEvent<DuelJudged>[];
  const found = duels.find(({ data, key }) => nameOf(data) === id || key === id);
  if (found) return found;
  const newest = duels.slice(-3).map(({ data }) => nameOf(data));
  throw new QuasarError('duel.unknown', `no duel ${id.slice(0, 100)} in this log`, {
    hint: newest.length > 0 ? `The newest are ${newest.join(', ')}; see \`quasar duel list\`.` : 'There is none yet.',
  });
}

export function verdictOf({ win, crownGate }: DuelJudged): string {
  if (!win) return 'lost';
  return crownGate.passed ? 'won' : 'won, no crown';
}
