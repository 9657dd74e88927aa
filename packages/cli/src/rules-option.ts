/** @file Which rules a verb judges by: those of the laptop, those published for netuid 24, or a file with every number. */
import { readFileSync } from 'node:fs';
import { formatIssues, QuasarError } from '@quasar/base';
import type { SubnetConfig } from '@quasar/subnet';
import { Option } from 'commander';
import { fromCaller } from './context.ts';

export function rulesOption(): Option {
  return new Option(
    '--rules <which>',
    'rules of the contest: local (a laptop), published (netuid 24), or a JSON file with every number',
  ).default('local');
}

/** @throws QuasarError usage.rules_unreadable, usage.rules_invalid */
export async function readRules(which: string): Promise<SubnetConfig> {
  const { LOCAL, parseSubnetConfig, UPSTREAM } = await import('@quasar/subnet');
  if (which === 'local') return LOCAL;
  if (which === 'published') return UPSTREAM;
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(fromCaller(which), 'utf8'));
  } catch (cause) {
    throw new QuasarError('usage.rules_unreadable', `--rules ${which}: ${(cause as Error).message}`, {
      cause,
      hint: 'give local, published, or a JSON file',
    });
  }
  const rules = parseSubnetConfig(json);
  if (rules.ok) return rules.value;
  throw new QuasarError('usage.rules_invalid', `--rules ${which}: ${formatIssues(rules.issues)}`);
}

/** Of the weights of the largest submission that the rules allow: BF16 has two bytes for a parameter. */
export function submissionBytes({ limits }: SubnetConfig): number {
  return 2 * limits.maxParameters;
}
