/** @file Rows of the jobs table, the same in both databases, as jobs and outcomes. */
import type { JobOutcome } from './job-queue.ts';
import type { ClaimedJob } from './lease-table.ts';

export interface OutcomeRow {
  key: string;
  state: JobOutcome['state'];
  attempt: number;
  result: string | null;
  error: string | null;
}

export type ClaimedRow = Omit<ClaimedJob, 'payload'> & { payload: string };

export function toOutcomes(rows: readonly OutcomeRow[]): Map<string, JobOutcome> {
  const parse = (text: string | null) => (text === null ? null : JSON.parse(text));
  return new Map(
    rows.map(({ key, state, attempt, result, error }) => [
      key,
      { state, attempt, result: parse(result), error: parse(error) },
    ]),
  );
}

/** Oldest first: an UPDATE returns its rows in any order. */
export function toClaimed(rows: readonly ClaimedRow[]): ClaimedJob[] {
  return rows.map((row) => ({ ...row, payload: JSON.parse(row.payload) })).sort((a, b) => a.id - b.id);
}
