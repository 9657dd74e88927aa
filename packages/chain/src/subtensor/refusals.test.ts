import { describe, expect, it } from 'vitest';
import { dispatchRefusal, poolVerdict } from './refusals.ts';
import { RpcRefusal } from './socket.ts';

const module = (pallet: string, name: string) => ({ type: 'Module', value: { type: pallet, value: { type: name } } });
const pool = (code: number, message: string, data: unknown = null) =>
  poolVerdict(new RpcRefusal('author_submitExtrinsic', code, message, data), 'a.b');

describe('refusals of a block', () => {
  it.each([
    ['SubtensorModule', 'SettingWeightsTooFast', 'chain.too_soon', 'later'],
    ['SubtensorModule', 'NetworkTxRateLimitExceeded', 'chain.too_soon', 'later'],
    ['SubtensorModule', 'HotKeyNotRegisteredInSubNet', 'chain.not_registered', 'never'],
    ['SubtensorModule', 'NeuronNoValidatorPermit', 'chain.no_permit', 'never'],
    ['SubtensorModule', 'TooManyUnrevealedCommits', 'chain.too_many_commits', 'later'],
    ['Commitments', 'SpaceLimitExceeded', 'chain.space_full', 'later'],
    ['SubtensorModule', 'NonAssociatedColdKey', 'chain.refused', 'never'],
  ])('%s.%s is %s, retry %s', (pallet, name, code, retry) => {
    const error = dispatchRefusal(module(pallet, name), 'pallet.call');
    expect(error).toMatchObject({ code, retry, data: { name } });
    expect(error.hint).toBeTruthy();
  });

  it('names errors outside of pallets', () => {
    expect(dispatchRefusal({ type: 'BadOrigin' }, 'a.b')).toMatchObject({
      code: 'chain.refused',
      data: { name: 'BadOrigin' },
    });
    const token = { type: 'Token', value: { type: 'FundsUnavailable' } };
    expect(dispatchRefusal(token, 'a.b').code).toBe('chain.insufficient_balance');
    for (const odd of [undefined, null, 7, {}, { type: 3 }, { type: 'Module' }]) {
      expect(dispatchRefusal(odd, 'a.b').code).toBe('chain.refused');
    }
  });
});

describe('refusals of the pool', () => {
  it('tells bytes it knows from nonces that are used', () => {
    expect(pool(1013, 'Transaction is already imported')).toEqual({ kind: 'known' });
    expect(pool(1012, 'Transaction is temporarily banned')).toEqual({ kind: 'known' });
    expect(pool(1014, 'Priority is too low: (1 vs 1)')).toEqual({ kind: 'nonce_taken' });
    expect(pool(1010, 'Invalid Transaction', 'Transaction is outdated')).toEqual({ kind: 'stale' });
    expect(pool(1010, '{"invalid":{"stale":null}}')).toEqual({ kind: 'stale' });
    expect(pool(1010, 'Invalid Transaction', 'Transaction has an ancient birth block')).toEqual({ kind: 'too_old' });
  });

  it.each([
    ['Custom error: 6', 'chain.too_soon'],
    ['{"invalid":{"custom":10}}', 'chain.not_registered'],
    ['{"invalid":{"custom":7}}', 'chain.refused'],
    ['Inability to pay some fees (e.g. account balance too low)', 'chain.insufficient_balance'],
    ['{"invalid":{"payment":null}}', 'chain.insufficient_balance'],
    ['Transaction has a bad signature', 'chain.bad_signature'],
    ['something new', 'chain.refused'],
  ])('%s is %s', (message, code) => {
    const verdict = pool(1010, 'Invalid Transaction', message);
    expect(verdict.kind === 'refused' && verdict.error.code).toBe(code);
  });

  it('asks to come back when the pool is full', () => {
    const verdict = pool(1016, 'Immediately Dropped');
    expect(verdict.kind === 'refused' && verdict.error).toMatchObject({ code: 'chain.busy', retry: 'later' });
  });
});
