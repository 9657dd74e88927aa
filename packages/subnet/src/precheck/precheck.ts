/**
 * @file All checks of a submission before it may be evaluated, cheapest first; every finding is reported.
 *
 * Listing -> names -> sizes -> config, tokenizer, header (small ranged reads) -> download -> values -> copies.
 * A check runs whenever its input exists, so one wrong file does not hide the next mistake. A hub that is down says
 * nothing about a submission: such errors are thrown with `retry: 'later'` and never become a verdict.
 */
import { type Issue, QuasarError, type Result } from '@quasar/base';
import type { HubFile, Listing } from '@quasar/hub';
import { baseTraces } from '../copy/base-traces.ts';
import { contentRecord, samplePlan } from '../copy/content.ts';
import type { Fingerprint } from '../copy/fingerprint.ts';
import { type CopyFinding, findOriginal, findSameRevision } from '../copy/original.ts';
import type { ContentRecord } from '../copy/record.ts';
import type { SubnetConfig } from '../rules/config.ts';
import type { Submission } from '../rules/submission.ts';
import { checkDeclaredSizes, maxTotalBytes } from './declared-sizes.ts';
import { checkFileContent } from './file-content.ts';
import { checkListedFiles } from './listed-files.ts';
import { checkLockedConfig } from './locked-config.ts';
import { checkLockedTokenizer } from './locked-tokenizer.ts';
import type { ModelLock } from './model-lock.ts';
import { scanWeights } from './scan-weights.ts';
import { manifestSha256, type SubmissionSource } from './source.ts';
import { TensorTable } from './tensor-table.ts';
import {
  CONFIG_FILE,
  dataFiles,
  INDEX_FILE,
  README_FILE,
  SINGLE_FILE,
  shardNumber,
  TOKENIZER_FILE,
} from './weight-layout.ts';
import { checkWeightValues } from './weight-values.ts';

export interface PrecheckInput {
  submission: Submission;
  source: SubmissionSource;
  lock: ModelLock;
  rules: SubnetConfig['copies'];
  /** Bounds of the weights' values. */
  numbers: SubnetConfig['numbers'];
  /** Sampling secret of this validator. */
  secret: string;
  /** Every known commitment: the same revision is refused before it is read. */
  submissions: readonly Submission[];
  /** Content of everything checked so far. */
  records: readonly ContentRecord[];
  /** What the checkpoint in a directory computes at this validator's probes; absent: copies are sought in weights alone. */
  fingerprint?: ((directory: string, files?: readonly HubFile[]) => Promise<Fingerprint>) | undefined;
  /** From the commitment, when it names one. */
  manifestSha256?: string | undefined;
}

export type PrecheckOutcome =
  | { passed: true; directory: string; files: HubFile[]; record: ContentRecord }
  | {
      passed: false;
      /** `DEFERRED`: too near an earlier submission to tell a copy from training. */
      status: 'COPY' | 'REMOVED' | 'INVALID' | 'DEFERRED';
      issues: Issue[];
      original?: Submission;
      /** This and what follows: when the weights were read. */
      files?: HubFile[];
      /** A copy of a copy leads to the root through it. */
      record?: ContentRecord;
    };

/** @throws QuasarError with `retry: 'later'` on a broken border; the submission is then neither passed nor refused */
export async function precheck(input: PrecheckInput): Promise<PrecheckOutcome> {
  const { submission, source, lock } = input;
  const sameRevision = findSameRevision(submission, input.submissions);
  if (sameRevision) return copyOutcome(sameRevision);
  const listed = await orIssues(undefined, () => source.inspect());
  if (!listed.ok) return refused(listed.issues);
  const listing = listed.value;
  if (listing === null) return { passed: false, status: 'REMOVED', issues: [missingRevision(source.name)] };
  const issues = await checkBeforeDownload(listing, input);
  if (issues.length > 0) return refused(issues);

  const { files } = listing;
  const downloaded = await orIssues(undefined, () => source.download(dataFiles(files), maxTotalBytes(lock)));
  if (!downloaded.ok) return refused(downloaded.issues);
  const directory = downloaded.value;
  const scan = await scanWeights(directory, samplePlan(input.secret, input.rules));
  const bad = checkWeightValues(scan, lock, input.numbers);
  if (bad.length > 0) return { passed: false, status: 'INVALID', issues: bad };
  return checkCopies(directory, files, contentRecord(submission, scan, lock), input);
}

/** By its weights first; a model that is a copy by these is not run. */
async function checkCopies(
  directory: string,
  files: HubFile[],
  record: ContentRecord,
  input: PrecheckInput,
): Promise<PrecheckOutcome> {
  const { lock, rules, secret, fingerprint } = input;
  const base = await baseTraces(lock, secret, rules, fingerprint);
  const original = (of: ContentRecord) => findOriginal(of, input.records, lock.baseSubmission, rules, base);
  let found = original(record);
  let known = record;
  if (fingerprint && found?.certainty !== 'copy') {
    known = { ...record, fingerprint: await fingerprint(directory, files) };
    found = original(known);
  }
  if (!found) return { passed: true, directory, files, record: known };
  const copyOf = found.certainty === 'copy' ? found.original.id : undefined;
  return { ...copyOutcome(found), files, record: { ...known, copyOf } };
}

/** Everything that the listing and small ranged reads tell; what one file hides, the others still show. */
async function checkBeforeDownload(listing: Listing, input: PrecheckInput): Promise<Issue[]> {
  const { source, lock } = input;
  const { files } = listing;
  const sizes = checkDeclaredSizes(files, lock);
  const issues = [...listing.issues, ...checkListedFiles(listing, lock), ...sizes];
  // A manifest of files that cannot all be read is unknown.
  if (listing.issues.length === 0 && input.manifestSha256 !== undefined) issues.push(...checkManifest(files, input));
  const find = (path: string) => files.find((file) => file.path === path);
  const tokenizer = find(TOKENIZER_FILE);
  const tokenizerIssues = tokenizer ? checkLockedTokenizer(tokenizer, lock) : [];
  const hasSize = (file: HubFile) => !sizes.some(({ path }) => path === file.path);
  // A tokenizer that is the base model's is known; weights of the wrong size still have a header that says why.
  const small = [find(CONFIG_FILE), find(README_FILE), tokenizerIssues.length > 0 ? tokenizer : undefined];
  const weights = chosenWeights(files);
  const readable = new Set<string>();
  for (const file of [...small, find(INDEX_FILE)].filter((one) => one !== undefined && hasSize(one)).concat(weights)) {
    if (!file) continue;
    const found = await findings(file.path, () => checkFileContent(source, file));
    if (found.length === 0) readable.add(file.path);
    issues.push(...found);
  }
  issues.push(...tokenizerIssues);
  const config = find(CONFIG_FILE);
  if (config && readable.has(CONFIG_FILE)) {
    const read = async () => checkLockedConfig(await source.readRange(CONFIG_FILE, 0, config.sizeBytes), lock);
    issues.push(...(await findings(CONFIG_FILE, read)));
  }
  return [...issues, ...(await checkTensors(weights, files, readable, input))];
}

/** The single file; shards that lie beside it are refused by their names. */
function chosenWeights(files: readonly HubFile[]): HubFile[] {
  const single = files.find(({ path }) => path === SINGLE_FILE);
  if (single) return [single];
  const shards = files.filter(({ path }) => shardNumber(path) !== null);
  return shards.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function checkTensors(
  weights: readonly HubFile[],
  files: readonly HubFile[],
  readable: ReadonlySet<string>,
  { source, lock }: PrecheckInput,
): Promise<Issue[]> {
  if (weights.length === 0 || weights.length > lock.limits.maxShards) return [];
  const table = new TensorTable(source, lock);
  const issues: Issue[] = [];
  const index = files.find(({ path }) => path === INDEX_FILE);
  const isSharded = weights[0]!.path !== SINGLE_FILE;
  if (isSharded && index && readable.has(INDEX_FILE))
    issues.push(...(await findings(INDEX_FILE, () => table.readIndex(index, files))));
  for (const file of weights) {
    const read = readable.has(file.path) ? await orIssues(file.path, () => table.readHeader(file)) : null;
    if (!read?.ok) table.lose();
    if (read) issues.push(...(read.ok ? read.value : read.issues));
  }
  if (isSharded && weights.length !== shardNumber(weights[0]!.path)?.count) table.lose();
  return [...issues, ...table.compare(isSharded ? INDEX_FILE : SINGLE_FILE)];
}

function checkManifest(files: readonly HubFile[], { manifestSha256: committed = '' }: PrecheckInput): Issue[] {
  if (manifestSha256(files) === committed) return [];
  return [
    {
      code: 'precheck.manifest_mismatch',
      message: `the files do not match the committed manifest ${committed.slice(0, 16)}...`,
      hint: 'Commit the manifest of the revision you publish.',
    },
  ];
}

const COPY_TEXT: Record<CopyFinding['kind'], string> = {
  revision: 'the same repository and revision was committed earlier',
  base: 'no tensor differs from the base model: nothing was trained',
  content: 'every trained tensor is identical',
  tensors: 'most trained tensors are identical',
  chunks: 'most parts of the trained tensors are identical',
  noise: 'the weights differ by noise only',
  disguise: 'the weights are the same in another order or scale: every layer computes the same',
  activations: 'it says the same, by the same activations',
  behaviour: 'the weights look different and the model says the same',
};

function copyOutcome(finding: CopyFinding): PrecheckOutcome & { passed: false } {
  const status = finding.certainty === 'copy' ? 'COPY' : 'DEFERRED';
  return { passed: false, status, issues: [copyIssue(finding)], original: finding.original };
}

/** What a miner hears about a copy. */
export function copyIssue({ kind, certainty, original, evidence }: CopyFinding): Issue {
  const { uid, repo, revision, revealedAtBlock } = original;
  const numbers = Object.entries(evidence).map(([name, value]) => `${name} ${Number(value.toPrecision(6))}`);
  if (kind === 'base')
    return { code: 'copy.same_base', message: COPY_TEXT.base, hint: 'Train the model, and publish what came of it.' };
  const [code, doubt] = certainty === 'copy' ? [`copy.same_${kind}`, ''] : ['copy.near', 'too near to tell whether '];
  return {
    code,
    message: `${doubt}${COPY_TEXT[kind]}: original is uid ${uid}, ${repo}@${revision.slice(0, 8)}, block ${revealedAtBlock}${numbers.length > 0 ? ` (${numbers.join(', ')})` : ''}`,
    hint: 'The earliest reveal is the original. Train further and commit a new revision.',
  };
}

function missingRevision(name: string): Issue {
  return {
    code: 'precheck.revision_missing',
    message: `${name}: repository or revision does not exist, or is private`,
    hint: 'Keep the repository public and the committed revision in place until it is judged.',
  };
}

/** A file that the hub says is not there makes the revision one that is gone. */
function refused(issues: Issue[]): PrecheckOutcome {
  const isGone = issues.some(({ code }) => code === 'hub.not_found');
  return { passed: false, status: isGone ? 'REMOVED' : 'INVALID', issues };
}

/**
 * What the hub client refuses for good is a finding about that file, and hides no other.
 * @throws every other error
 */
async function orIssues<T>(path: string | undefined, step: () => Promise<T>): Promise<Result<T>> {
  try {
    return { ok: true, value: await step() };
  } catch (error) {
    if (!(error instanceof QuasarError) || error.retry === 'later' || !error.code.startsWith('hub.')) throw error;
    return { ok: false, issues: [asIssue(error, path)] };
  }
}

async function findings(path: string, check: () => Promise<Issue[]>): Promise<Issue[]> {
  const result = await orIssues(path, check);
  return result.ok ? result.value : result.issues;
}

function asIssue({ code, message, hint }: QuasarError, path: string | undefined): Issue {
  return { code, message, ...(path === undefined ? {} : { path }), ...(hint === undefined ? {} : { hint }) };
}
