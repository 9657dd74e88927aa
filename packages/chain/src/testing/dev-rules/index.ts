/**
 * @file The rules of the dev chain, block by block, in process and served. What every chain does alike is in port-contract.ts.
 *
 * The factory opens a fresh, empty chain that makes blocks on demand, with the given options.
 */
import { describe, onTestFinished } from 'vitest';
import { describeAccounts } from './accounts.ts';
import { describeBlocks } from './blocks.ts';
import { describeCommitments } from './commitments.ts';
import { describeHiddenWeights } from './hidden-weights.ts';
import { describeRefusals } from './refusals.ts';
import { describeRegistration } from './registration.ts';
import type { ChainUnderTest, DevRules, Open } from './support.ts';
import { describeWeights } from './weights.ts';

export function describeDevRules(name: string, factory: (rules: DevRules) => Promise<ChainUnderTest>): void {
  const open: Open = async (rules = {}) => {
    const opened = await factory(rules);
    onTestFinished(() => opened.close());
    return opened;
  };
  describe(`rules of the dev chain: ${name}`, () => {
    for (const group of [
      describeBlocks,
      describeRegistration,
      describeCommitments,
      describeWeights,
      describeHiddenWeights,
      describeAccounts,
      describeRefusals,
    ])
      group(open);
  });
}
