/**
 * @file Whose work a submission is: the earliest reveal of the same content is the original.
 *
 * Content is compared tensor by tensor (sha256 of values, so neither another shard layout nor another file order
 * hides a copy). Tensors equal to the base model's are nobody's work and are left out: miners once lost their models
 * as COPY for frozen embeddings they shared with everybody. Noise copies are caught by sampled values.
 * An unknown reveal block never disqualifies. Source: subnet.md section 5.
 *
 * Covered: same revision, same content, mostly the same tensors, small noise on all of them. Not covered: permuted
 * heads or rescaled norms; these must still win the duel by more than noise.
 */
import { BASE_ID, type Submission } from './submission.ts';

/** What is remembered of a checkpoint. */
export interface ContentRecord {
  submission: Submission;
  /** sha256 per tensor name, of tensors that differ from the base model only. */
  tensors: Readonly<Record<string, string>>;
  /**
   * Values at secret positions of those of them that are matrices, in units of the base tensor's rms so that no tensor
   * outweighs the others. The same positions for every record; empty when switched off.
   */
  samples: Readonly<Record<string, readonly number[]>>;
  /** Id of the original when this one was itself found to be a copy. */
  copyOf?: string | undefined;
}

export interface CopyRules {
  /** Share of own tensors that must be identical. */
  minIdenticalRatio: number;
  /** Fewer identical tensors than this are no proof, unless all are identical. */
  minIdenticalTensors: number;
  /** Fewer sampled values than this are no proof. */
  minSamples: number;
  minCosine: number;
  maxRelativeL2: number;
}

export const UPSTREAM_COPY_RULES: CopyRules = {
  minIdenticalRatio: 0.9,
  minIdenticalTensors: 12,
  minSamples: 512,
  minCosine: 0.999999,
  maxRelativeL2: 0.001,
};

export type CopyKind = 'revision' | 'base' | 'content' | 'tensors' | 'noise';

export interface CopyFinding {
  kind: CopyKind;
  original: Submission;
  evidence: Record<string, number>;
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
  return original ? { kind: 'revision', original, evidence: {} } : null;
}

/**
 * The original of `subject` among the known records, or null.
 * @param base the base student as a submission: a checkpoint without a single tensor of its own is a copy of it
 */
export function findOriginal(
  subject: ContentRecord,
  records: readonly ContentRecord[],
  base: Submission,
  rules: CopyRules = UPSTREAM_COPY_RULES,
): CopyFinding | null {
  if (Object.keys(subject.tensors).length === 0) return { kind: 'base', original: base, evidence: { ownTensors: 0 } };
  const byId = new Map(records.map((record) => [record.submission.id, record]));
  const matches: { root: Submission; finding: Omit<CopyFinding, 'original'> }[] = [];
  for (const record of records) {
    if (record.submission.id === subject.submission.id) continue;
    const finding = compare(subject, record, rules);
    const root = finding && rootOf(record, byId);
    // The root of a chain may be later than a link only if blocks are unknown: then nobody is accused.
    if (finding && root && isEarlier(root, subject.submission)) matches.push({ root, finding });
  }
  const original = earliest(matches.map(({ root }) => root));
  const match = matches.find(({ root }) => root === original);
  return match ? { ...match.finding, original: match.root } : null;
}

function compare(a: ContentRecord, b: ContentRecord, rules: CopyRules): Omit<CopyFinding, 'original'> | null {
  const names = Object.keys(a.tensors);
  const identical = names.filter((name) => a.tensors[name] === b.tensors[name]).length;
  const total = Math.max(names.length, Object.keys(b.tensors).length);
  const ratio = identical / total;
  const evidence = { identicalTensors: identical, comparedTensors: total, identicalRatio: ratio };
  if (identical === total) return { kind: 'content', evidence };
  if (identical >= rules.minIdenticalTensors && ratio >= rules.minIdenticalRatio) return { kind: 'tensors', evidence };
  const shared = Object.keys(a.samples).filter((name) => b.samples[name]?.length === a.samples[name]!.length);
  const [valuesA, valuesB] = [a, b].map(({ samples }) => shared.flatMap((name) => [...samples[name]!])) as [
    number[],
    number[],
  ];
  if (valuesA.length < rules.minSamples) return null;
  const { cosine, relativeL2 } = similarity(valuesA, valuesB);
  if (cosine >= rules.minCosine && relativeL2 <= rules.maxRelativeL2)
    return { kind: 'noise', evidence: { samples: valuesA.length, cosine, relativeL2 } };
  return null;
}

/** Cosine of two value vectors and ||a - b|| / max(||a||, ||b||). Two zero vectors share nothing. */
export function similarity(a: readonly number[], b: readonly number[]): { cosine: number; relativeL2: number } {
  let [ab, aa, bb, dd] = [0, 0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
    dd += (a[i]! - b[i]!) ** 2;
  }
  const norm = Math.sqrt(Math.max(aa, bb));
  if (norm === 0) return { cosine: 0, relativeL2: 1 };
  return { cosine: aa === 0 || bb === 0 ? 0 : ab / Math.sqrt(aa * bb), relativeL2: Math.sqrt(dd) / norm };
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
