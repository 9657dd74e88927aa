/**
 * @file From a directory to a place in the contest: check -> publish -> verify -> commit.
 *
 * Each step can be repeated: publishing the same files gives the same revision, and files that are on chain already
 * are not committed again. So a ladder that was interrupted is simply climbed once more. `dryRun` stops before
 * anything leaves this machine and shows what would be sent.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Issue } from '@quasar/base';
import type { Chain, Commitment, Wallet } from '@quasar/chain';
import type { HubClient, HubFile } from '@quasar/hub';
import { directoryFiles, manifestSha256 } from '../precheck/source.ts';
import { isModelFile, README_FILE } from '../precheck/weight-layout.ts';
import { formatCommitment, parseCommitment } from '../rules/commitment.ts';
import type { SubnetConfig } from '../rules/config.ts';
import { firstEligibleRound } from '../rules/round.ts';
import { checkModel } from './check-model.ts';

/** What is published of a directory. */
const isPublished = (path: string) => isModelFile(path) || path === README_FILE;

export interface SubmitModelOptions {
  chain: Chain;
  hub: HubClient;
  wallet: Wallet;
  config: SubnetConfig;
  baseDirectory: string;
  /** The checkpoint to submit. Only the files of a submission are published. */
  directory: string;
  /** `owner/name` on the hub. */
  repo: string;
  /** Show every step, change nothing. */
  dryRun?: boolean | undefined;
  /** Commit although this hotkey has another commitment; the newest counts. */
  replace?: boolean | undefined;
  /** Compare with everything on chain first; default true. */
  copies?: boolean | undefined;
  onStep?: ((step: SubmitStep) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface SubmitStep {
  name: 'check' | 'publish' | 'verify' | 'commit';
  state: 'done' | 'skipped' | 'planned' | 'failed';
  detail: string;
}

export interface SubmitReport {
  ok: boolean;
  steps: SubmitStep[];
  issues: Issue[];
  repo: string;
  revision: string | null;
  /** The text on chain. */
  payload: string | null;
  revealedAtBlock: number | null;
  /** The first round that can take it. */
  firstRound: number | null;
}

/** @throws QuasarError of hub and chain; the ladder can be climbed again */
export async function submitModel(options: SubmitModelOptions): Promise<SubmitReport> {
  const { chain, hub, wallet, config, directory, repo, dryRun = false } = options;
  const report: SubmitReport = {
    ...{ ok: false, steps: [], issues: [], repo },
    ...{ revision: null, payload: null, revealedAtBlock: null, firstRound: null },
  };
  const step = (name: SubmitStep['name'], state: SubmitStep['state'], detail: string) => {
    report.steps.push({ name, state, detail });
    options.onStep?.({ name, state, detail });
  };
  const fail = (name: SubmitStep['name'], issues: Issue[]): SubmitReport => {
    report.issues = issues;
    step(name, 'failed', issues.map(({ message }) => message).join('; '));
    return report;
  };

  const standing = await alreadySubmitted(options);
  if (standing) {
    const { revision, revealedAtBlock, payload } = standing;
    step('commit', 'skipped', `${repo}@${revision} with these files is on chain since block ${revealedAtBlock}`);
    const firstRound = firstEligibleRound(revealedAtBlock, config.round);
    return { ...report, ok: true, revision, payload, revealedAtBlock, firstRound };
  }
  const refusals = await checkStanding(options);
  const check = await checkModel({
    ...{ model: { directory }, hub, chain, config, baseDirectory: options.baseDirectory },
    ...{ hotkey: wallet.hotkey, copies: options.copies, signal: options.signal },
  });
  if (!check.ok || refusals.length > 0) return fail('check', [...refusals, ...check.issues]);
  step('check', 'done', `a validator would accept it; compared with ${check.comparedWith} submissions`);

  const paths = (await readdir(directory)).filter(isPublished).sort();
  if (dryRun) {
    step('publish', 'planned', `${paths.join(', ')} to ${repo}`);
    step('verify', 'planned', 'read the revision back');
    step('commit', 'planned', `${formatCommitment({ repo, revision: '<revision>' })} on netuid ${config.netuid}`);
    return { ...report, ok: true };
  }
  const { revision } = await hub.publish(
    repo,
    paths.map((path) => ({ path, content: join(directory, path) })),
    { message: 'Submission' },
  );
  report.revision = revision;
  step('publish', 'done', `${repo}@${revision}`);

  const published = await verify(options, revision);
  if (published.length > 0) return fail('verify', published);
  step('verify', 'done', 'the revision holds exactly these files');

  report.payload = formatCommitment({ repo, revision });
  report.revealedAtBlock = (await chain.commit(wallet, config.netuid, report.payload)).expectedRevealBlock;
  step('commit', 'done', `revealed at block ${report.revealedAtBlock}`);
  report.firstRound = firstEligibleRound(report.revealedAtBlock, config.round);
  return { ...report, ok: true };
}

/** The newest commitment of this hotkey, when it names exactly these files in this repository. */
async function alreadySubmitted(
  options: SubmitModelOptions,
): Promise<{ revision: string; revealedAtBlock: number; payload: string } | null> {
  const { chain, hub, wallet, config, repo, directory } = options;
  const newest = await newestCommitment(chain, config.netuid, wallet.hotkey);
  const payload = newest && parseCommitment(newest.data);
  if (!newest || !payload?.ok || payload.value.repo !== repo) return null;
  const { revision } = payload.value;
  const remote = await hub.list(repo, revision, options);
  if (remote === null || manifestSha256(remote) !== manifestSha256(await localFiles(directory))) return null;
  return { revision, revealedAtBlock: newest.revealedAtBlock, payload: newest.data };
}

/** Reasons that lie in the hotkey, not in the model. */
async function checkStanding(options: SubmitModelOptions): Promise<Issue[]> {
  const { chain, wallet, config, repo, replace = false } = options;
  const issues: Issue[] = [];
  const { neurons } = await chain.metagraph(config.netuid);
  if (!neurons.some(({ hotkey }) => hotkey === wallet.hotkey))
    issues.push({
      code: 'miner.not_registered',
      message: `hotkey ${wallet.hotkey} is not registered on netuid ${config.netuid}`,
      hint: 'Register it first: quasar register --name <name>.',
    });
  const newest = await newestCommitment(chain, config.netuid, wallet.hotkey);
  const payload = newest && parseCommitment(newest.data);
  if (payload?.ok && payload.value.repo !== repo && !replace)
    issues.push({
      code: 'miner.already_committed',
      message: `this hotkey committed ${payload.value.repo} at block ${newest!.revealedAtBlock}`,
      hint: 'The newest commitment counts. Say so explicitly to replace it.',
    });
  return issues;
}

/** The hub must give back what was sent, and nothing else: files of earlier revisions stay in a repository. */
async function verify(
  { hub, repo, directory, config, signal }: SubmitModelOptions,
  revision: string,
): Promise<Issue[]> {
  const remote = await hub.list(repo, revision, { signal });
  if (remote === null)
    return [
      {
        code: 'miner.not_public',
        message: `${repo}@${revision} cannot be read back without your token`,
        hint: 'Make the repository public before you commit.',
      },
    ];
  if (manifestSha256(remote) === manifestSha256(await localFiles(directory))) return [];
  const extra = remote.filter(({ path }) => !isPublished(path)).map(({ path }) => path);
  return [
    {
      code: 'miner.publish_mismatch',
      message: `${repo}@${revision} differs from ${directory} on netuid ${config.netuid}${extra.length > 0 ? `: it also holds ${extra.join(', ')}` : ''}`,
      hint: 'Use a fresh repository, or delete the files that are not part of a submission.',
    },
  ];
}

async function localFiles(directory: string): Promise<HubFile[]> {
  return (await directoryFiles(directory)).filter(({ path }) => isPublished(path));
}

async function newestCommitment(chain: Chain, netuid: number, hotkey: string): Promise<Commitment | null> {
  const { number } = await chain.head();
  return (await chain.commitments(netuid, number)).filter((one) => one.hotkey === hotkey).at(-1) ?? null;
}
