/**
 * @file Whose work a submission is: the earliest reveal of the same content is the original. Pure.
 *
 * Tensors equal to the base model's are nobody's work and are left out: miners once lost their models as COPY for frozen
 * embeddings they shared with everybody. An unknown reveal block never disqualifies, chains of copies lead to their
 * root. Source: subnet.md sections 5 and 21 (row 14). What is alike: likeness.ts.
 */
import { BASE_ID, type Submission } from '../rules/submission.ts';
import { type CopyRules, type Likeness, likeness } from './likeness.ts';
import type { BaseTraces, ContentRecord } from './record.ts';

export interface CopyFinding extends Omit<Likeness, 'kind'> {
  kind: Likeness['kind'] | 'revision' | 'base';
  original: Submission;
}

/** The same repository and revision, committed earlier by somebody else: known before a byte is read. */
export function findSameRevision(subject: Submission, others: readonly Submission[]): CopyFinding | null {
  const same = others.filter(
    (one) =>
      one.hotkey !== subject.hotkey &&
      one.revision === subject.revision &&
      one.repo.toLowerCase() === subject.repo.toLowerCase() &&
      isEarlier(one, subject),
  );
  const original = earliest(same);
  return original ? { kind: 'revision', certainty: 'copy', original, evidence: {} } : null;
}

/**
 * The original of `subject` among the known records, or null. Of several, the earliest that is certainly copied; without
 * such, the earliest that may be (`certainty: 'near'`).
 * @param base the base student as a submission: a checkpoint without a single tensor of its own is a copy of it
 */
export function findOriginal(
  subject: ContentRecord,
  records: readonly ContentRecord[],
  base: Submission,
  rules: CopyRules,
  traces: BaseTraces,
): CopyFinding | null {
  if (Object.keys(subject.tensors).length === 0)
    return { kind: 'base', certainty: 'copy', original: base, evidence: { ownTensors: 0 } };
  const byId = new Map(records.map((record) => [record.submission.id, record]));
  const matches: { root: Submission; found: Likeness }[] = [];
  for (const record of records) {
    if (record.submission.id === subject.submission.id) continue;
    const root = rootOf(record, byId);
    // The root of a chain may be later than a link only if blocks are unknown: then nobody is accused.
    if (!isEarlier(root, subject.submission)) continue;
    const found = likeness(subject, record, rules, traces);
    if (found) matches.push({ root, found });
  }
  const certain = matches.filter(({ found }) => found.certainty === 'copy');
  const candidates = certain.length > 0 ? certain : matches;
  const original = earliest(candidates.map(({ root }) => root));
  const match = candidates.find(({ root }) => root === original);
  return match ? { ...match.found, original: match.root } : null;
}

function rootOf(record: ContentRecord, byId: ReadonlyMap<string, ContentRecord>): Submission {
  const seen = new Set<string>();
  let root = record;
  while (root.copyOf && root.copyOf !== BASE_ID && !seen.has(root.submission.id)) {
    seen.add(root.submission.id);
    const next = byId.get(root.copyOf);
    if (!next) break;
    root = next;
  }
  return root.submission;
}

function isEarlier(a: Submission, b: Submission): boolean {
  if (a.revealedAtBlock === null || b.revealedAtBlock === null) return false;
  return a.revealedAtBlock < b.revealedAtBlock || (a.revealedAtBlock === b.revealedAtBlock && a.uid < b.uid);
}

function earliest(submissions: readonly Submission[]): Submission | null {
  return submissions.reduce<Submission | null>((best, one) => (!best || isEarlier(one, best) ? one : best), null);
}
