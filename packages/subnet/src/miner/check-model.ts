/**
 * @file What a validator would say about a model, before anybody else sees it: the same checks, copies included.
 *
 * Copies are looked for among everything on chain now, by the validator's own rule. That reads the weights of every
 * earlier submission once (they stay in the hub cache); `copies: false` leaves it out and says so in the report.
 */
import { randomBytes } from 'node:crypto';
import { type Issue, QuasarError } from '@quasar/base';
import type { Chain } from '@quasar/chain';
import type { HubClient, HubFile } from '@quasar/hub';
import { Engine } from '@quasar/infer';
import { readConfig } from '@quasar/model';
import { type Fingerprint, type FingerprintProbes, fingerprint, fingerprintProbes } from '../copy/fingerprint.ts';
import type { ContentRecord } from '../copy/record.ts';
import { createModelLock, type ModelLock } from '../precheck/model-lock.ts';
import { type PrecheckInput, type PrecheckOutcome, precheck } from '../precheck/precheck.ts';
import { directorySource, hubSource, type SubmissionSource } from '../precheck/source.ts';
import { parseCommitment } from '../rules/commitment.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { type Submission, submissionId } from '../rules/submission.ts';

export interface CheckModelOptions {
  /** A checkpoint directory, or a published revision. */
  model: { directory: string } | { repo: string; revision: string };
  hub: HubClient;
  chain: Chain;
  config: SubnetConfig;
  /** Checkpoint of the base student. */
  baseDirectory: string;
  /** Whose submission it would be: own earlier commitments are no originals of a stolen revision. */
  hotkey: string;
  /** Default true. */
  copies?: boolean | undefined;
  onProgress?: ((message: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface CheckReport {
  ok: boolean;
  /** The label a validator would show. */
  status: 'OK' | 'COPY' | 'DEFERRED' | 'REMOVED' | 'INVALID';
  issues: Issue[];
  original: Submission | null;
  /** `not needed`: refused for another reason first. `switched off`: by `copies: false`; a validator does compare. */
  copies: 'compared' | 'not needed' | 'switched off';
  /** Earlier submissions it was compared with, and those that could not be read. */
  comparedWith: number;
  notCompared: Issue[];
  /** Where they lie, and which; null when it was refused. */
  directory: string | null;
  files: HubFile[] | null;
}

/** @throws QuasarError `hub.unreachable`, `chain.unreachable`, `subnet.bad_base` */
export async function checkModel(options: CheckModelOptions): Promise<CheckReport> {
  const { model, hub, chain, config, hotkey } = options;
  const lock = await createModelLock(options.baseDirectory, config.limits, config.tolerated);
  const { number } = await chain.head();
  const onChain = await committed(chain, config.netuid, number);
  const submission = onChain.find((one) => isSame(one, options)) ?? {
    id: submissionId(hotkey, number + 1),
    uid: Number.MAX_SAFE_INTEGER,
    hotkey,
    ...('repo' in model ? model : { repo: 'local/model', revision: '' }),
    revealedAtBlock: number + 1,
  };
  if ('directory' in model && isGraft(model.directory) && lock.config.model_type !== 'quasar_graft')
    return report({ passed: false, status: 'INVALID', issues: [GRAFT_ISSUE] }, 'not needed');
  const earlier = options.copies === false ? [] : onChain.slice(0, indexOrAll(onChain, submission));
  const source =
    'repo' in model ? hubSource(hub, model.repo, model.revision, options.signal) : directorySource(model.directory);
  // A validator's secret is its own; any other chooses probes just as good.
  const secret = randomBytes(16).toString('hex');
  const shared = { lock, rules: config.copies, numbers: config.numbers, secret };

  // Cheap checks first: a model that is refused anyway needs no comparison.
  const alone = await precheck({ ...shared, submission, source, submissions: earlier, records: [] });
  if (options.copies === false) return report(alone, 'switched off');
  if (!alone.passed) return report(alone, 'not needed');
  const probes = fingerprintProbes(secret, lock.config.vocab_size);
  const running = { ...shared, fingerprint: (directory: string) => fingerprintOf(directory, probes) };
  const { records, notCompared } = await readRecords(options, running, earlier);
  options.onProgress?.('comparing');
  const outcome = await precheck({ ...running, submission, source, submissions: earlier, records });
  return report(outcome, 'compared', records.length, notCompared);
}

const GRAFT_ISSUE: Issue = {
  code: 'precheck.graft',
  path: 'config.json/model_type',
  message: 'a graft: the contest takes whole models with the config of its base model, not branches upon one',
  hint: 'use it with `quasar chat` or `quasar serve`; to enter, train a model of that config: `quasar distill`',
};

/** Each of its files would be refused for a reason of its own, and none of them would say why. */
function isGraft(directory: string): boolean {
  const config = readConfig(directory);
  return config.ok && config.value.model_type === 'quasar_graft';
}

async function fingerprintOf(directory: string, probes: FingerprintProbes): Promise<Fingerprint> {
  const engine = await Engine.load(directory);
  try {
    return await fingerprint(engine, probes);
  } finally {
    engine.dispose();
  }
}

/** A revision that was committed already is judged in its own place, not as a copy of itself. */
function isSame(one: Submission, { model, hotkey }: CheckModelOptions): boolean {
  return 'repo' in model && one.hotkey === hotkey && one.repo === model.repo && one.revision === model.revision;
}

function indexOrAll(onChain: readonly Submission[], submission: Submission): number {
  const index = onChain.indexOf(submission);
  return index === -1 ? onChain.length : index;
}

/** Everything on chain that can be read as a submission, oldest first. */
async function committed(chain: Chain, netuid: number, atBlock: number): Promise<Submission[]> {
  return (await chain.commitments(netuid, atBlock)).flatMap(({ uid, hotkey, revealedAtBlock, data }) => {
    const payload = parseCommitment(data);
    if (!payload.ok) return [];
    const { repo, revision } = payload.value;
    return [{ id: submissionId(hotkey, revealedAtBlock), uid, hotkey, repo, revision, revealedAtBlock }];
  });
}

type Shared = Pick<PrecheckInput, 'rules' | 'numbers' | 'secret' | 'fingerprint'> & { lock: ModelLock };

/** The content of earlier submissions, read in reveal order as a validator met them. */
async function readRecords(
  { hub, onProgress, signal }: CheckModelOptions,
  shared: Shared,
  earlier: readonly Submission[],
): Promise<{ records: ContentRecord[]; notCompared: Issue[] }> {
  const records: ContentRecord[] = [];
  const notCompared: Issue[] = [];
  for (const [i, submission] of earlier.entries()) {
    onProgress?.(`comparing with submission ${i + 1} of ${earlier.length}`);
    const source: SubmissionSource = hubSource(hub, submission.repo, submission.revision, signal);
    try {
      const outcome = await precheck({ ...shared, submission, source, submissions: earlier, records });
      if (outcome.record) records.push(outcome.record);
      hub.release(submission.repo, submission.revision);
    } catch (error) {
      if (!(error instanceof QuasarError) || error.code === 'hub.cancelled') throw error;
      notCompared.push({ code: error.code, path: `${submission.repo}@${submission.revision}`, message: error.message });
    }
  }
  return { records, notCompared };
}

function report(
  outcome: PrecheckOutcome,
  copies: CheckReport['copies'],
  comparedWith = 0,
  notCompared: Issue[] = [],
): CheckReport {
  const compared = { copies, comparedWith, notCompared };
  if (outcome.passed)
    return {
      ok: true,
      status: 'OK',
      issues: [],
      original: null,
      ...compared,
      directory: outcome.directory,
      files: outcome.files,
    };
  const { status, issues, original } = outcome;
  return { ok: false, status, issues, original: original ?? null, ...compared, directory: null, files: null };
}
