/** @file What `quasar check` prints: the verdict first, then what was looked at, then what to do. */
import { formatIssues } from '@quasar/base';
import { type CheckReport, formatCommitment, type SubmissionState } from '@quasar/subnet';
import { record } from '../ui/table.ts';
import { type DuelAtHome, duelText } from './duel-at-home.ts';

/** A wrong size gives one issue per tensor: nobody reads two hundred lines. */
const SHOWN_ISSUES = 20;

export interface CheckedModel {
  /** A folder, or owner/name@revision. */
  name: string;
  /** Of the hub. */
  revision: { repo: string; revision: string } | null;
}

export interface CheckResult {
  model: CheckedModel;
  report: CheckReport;
  duel: DuelAtHome | null;
  /** What the validator of this home made of the revision, when it was committed. */
  standing: Pick<SubmissionState, 'status' | 'issues'> | null;
}

export function checkText(result: CheckResult): string {
  const { model, report, duel, standing } = result;
  const { issues, files } = report;
  const hidden = issues.length - SHOWN_ISSUES;
  const sizeBytes = files?.reduce((sum, file) => sum + file.sizeBytes, 0) ?? 0;
  const fields = {
    model: files === null ? model.name : `${model.name}, ${files.length} files, ${(sizeBytes / 1e6).toFixed(1)} MB`,
    checked: checkedText(report),
    copies: copiesText(report),
    duel: duel ? '' : `not fought: ${report.ok ? '--no-duel' : 'a refused model fights none'}`,
    ...(standing ? { contest: standingText(standing) } : {}),
    next: nextText(result),
  };
  const { duel: noDuel, next, ...rest } = fields;
  return [
    verdictText(report, duel),
    ...(issues.length > 0 ? [formatIssues(issues.slice(0, SHOWN_ISSUES))] : []),
    ...(hidden > 0 ? [`... and ${hidden} more; --json lists them all`] : []),
    '',
    record(duel ? rest : { ...rest, duel: noDuel }),
    ...report.notCompared.map(({ path, message }) => `  not compared: ${path}: ${message}`),
    ...(duel ? ['', duelText(duel)] : []),
    '',
    `next: ${next}`,
  ].join('\n');
}

function verdictText({ ok, status, issues }: CheckReport, duel: DuelAtHome | null): string {
  if (!ok) {
    const reasons = issues.length > 1 ? `, for ${issues.length} reasons` : '';
    if (status === 'DEFERRED') return 'DEFERRED: a validator would neither refuse nor judge it';
    return `${status}: a validator would refuse it${reasons}`;
  }
  if (!duel) return 'OK: a validator would accept it';
  return duel.verdict.decided === 'win'
    ? 'OK: a validator would accept it, and today it would win its duel'
    : 'OK: a validator would accept it, but today it would not win its duel';
}

/** Found in the weights themselves, after everything else was in order. */
const OF_VALUES = /^precheck\.(not_finite|huge_values|norm_weight|router_collapse|scale|all_zero|denormal)$/;

function checkedText({ status, issues }: CheckReport): string {
  if (status === 'REMOVED') return 'whether the hub has it';
  const before = 'names, sizes, config, tokenizer and the header of the weights';
  return status !== 'INVALID' || issues.some(({ code }) => OF_VALUES.test(code))
    ? `${before}, then every weight`
    : before;
}

function copiesText({ status, copies, comparedWith, notCompared }: CheckReport): string {
  if (status === 'COPY' && copies !== 'compared') return 'this is one; no other was looked for';
  if (copies === 'switched off') return 'not looked for (--no-copies); a validator does';
  if (copies === 'not needed') return 'not looked for, as it would be refused anyway';
  const unread = notCompared.length > 0 ? `; ${notCompared.length} could not be read` : '';
  const earlier = comparedWith === 1 ? '1 earlier submission' : `${comparedWith} earlier submissions`;
  return `compared with the base model and ${earlier}${unread}`;
}

function standingText({ status, issues }: NonNullable<CheckResult['standing']>): string {
  const [first] = issues;
  return `committed; the validator of this home says ${status}${first ? `: ${first.message}` : ''}`;
}

function nextText({ model, report, duel, standing }: CheckResult): string {
  const { revision } = model;
  if (standing?.status === 'king') return 'it reigns: keep the revision public and as it is';
  if (report.status === 'REMOVED') return 'see that the name is right and the repository public';
  if (report.status === 'COPY' || report.status === 'DEFERRED') return 'train further, and check again';
  if (!report.ok) return 'follow the hints, and check again';
  if (duel && duel.verdict.decided !== 'win')
    return `train further, and check again; ${percent(duel.power.eighty.improvement)} less KL than what is to beat wins four duels of five`;
  if (standing) return 'wait for its duel, and keep the revision public and as it is';
  return revision === null
    ? 'publish the files as they are, and check the revision once more before you commit it'
    : `commit on chain: ${formatCommitment(revision)}`;
}

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
