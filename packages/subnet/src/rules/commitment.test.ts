import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCommitment, parseCommitment } from './commitment.ts';

const revision = 'a'.repeat(40);
const codes = (data: string) => {
  const result = parseCommitment(data);
  return result.ok ? [] : result.issues.map((i) => i.code);
};

describe('parseCommitment', () => {
  it('reads what formatCommitment writes', () => {
    const plain = { repo: 'miner-1/quasar.v2', revision };
    expect(formatCommitment(plain)).toBe(`{"model":"miner-1/quasar.v2","revision":"${revision}"}`);
    expect(parseCommitment(formatCommitment(plain))).toEqual({ ok: true, value: plain });
    const full = { ...plain, manifestSha256: 'b'.repeat(64) };
    expect(parseCommitment(formatCommitment(full))).toEqual({ ok: true, value: full });
  });

  it.each([
    ['', ['commitment.malformed']],
    ['[]', ['commitment.malformed']],
    ['null', ['commitment.malformed']],
    ['"x"', ['commitment.malformed']],
    [' '.repeat(600), ['commitment.too_large']],
    ['{}', ['commitment.bad_repo', 'commitment.bad_revision']],
    [
      `{"model":"a/b","revision":"${revision}","block":3,"hotkey":"5x"}`,
      ['commitment.unknown_key', 'commitment.unknown_key'],
    ],
    [`{"model":"a/b","model":"c/d","revision":"${revision}"}`, ['commitment.malformed']],
    [`{"\\u006dodel":"a/b","revision":"${revision}"}`, ['commitment.malformed']],
    [`{"model":"a/b","revision":"main"}`, ['commitment.bad_revision']],
    [`{"model":"a/b","revision":"${'A'.repeat(40)}"}`, ['commitment.bad_revision']],
    [`{"model":"a/b","revision":"${revision}","manifest":"12"}`, ['commitment.bad_manifest']],
    [`{"__proto__":{},"model":"a/b","revision":"${revision}"}`, ['commitment.unknown_key']],
  ])('%s', (data, expected) => {
    expect(codes(data)).toEqual(expected);
  });

  it.each(['a', 'a/b/c', '../b', 'a/..', 'a/b..c', '.a/b', 'https://x/y', 'a/b\n', 'a/é', 'a//b'])(
    'refuses the repository %j',
    (model) => {
      expect(codes(JSON.stringify({ model, revision }))).toEqual(['commitment.bad_repo']);
    },
  );

  it('never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (data) => {
        expect(parseCommitment(data).ok).toBe(false);
      }),
    );
  });
});
