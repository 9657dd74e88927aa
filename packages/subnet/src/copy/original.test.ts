import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { UPSTREAM } from '../rules/config.ts';
import { BASE_ID, BASE_UID, type Submission } from '../rules/submission.ts';
import { similarity } from './distances.ts';
import { findOriginal as find, findSameRevision } from './original.ts';
import { packBf16 } from './packed.ts';
import type { BaseTraces, ContentRecord } from './record.ts';

const base: Submission = {
  id: BASE_ID,
  uid: BASE_UID,
  hotkey: '',
  repo: 'base',
  revision: '0'.repeat(40),
  revealedAtBlock: 0,
};

function submission(id: string, revealedAtBlock: number | null, uid = 1): Submission {
  return { id, uid, hotkey: id, repo: `${id}/m`, revision: id.repeat(40).slice(0, 40), revealedAtBlock };
}

function record(one: Submission, hashes: string[], more: Partial<ContentRecord> = {}): ContentRecord {
  const tensors = Object.fromEntries(hashes.map((h, i) => [`t${i}`, h]));
  return { submission: one, tensors, chunks: {}, samples: {}, ...more };
}

const origin: BaseTraces = { tensors: {}, chunks: {}, samples: {}, rms: new Map([['w', 1]]), stable: new Set() };
const findOriginal = (subject: ContentRecord, records: ContentRecord[], of: Submission) =>
  find(subject, records, of, UPSTREAM.copies, origin);

const hashes = (n: number, tag = '') => Array.from({ length: n }, (_, i) => `${tag}${i}`);

describe('findOriginal', () => {
  it('the earliest reveal is the original, ties by lower uid', () => {
    const a = record(submission('a', 10), hashes(20));
    const b = record(submission('b', 11), hashes(20));
    expect(findOriginal(b, [a, b], base)).toMatchObject({ kind: 'content', original: { id: 'a' } });
    expect(findOriginal(a, [a, b], base)).toBeNull();
    const c = record(submission('c', 10, 2), hashes(20));
    expect(findOriginal(c, [a, b, c], base)?.original.id).toBe('a');
    expect(findOriginal(a, [c], base)).toBeNull();
  });

  it('an unknown block disqualifies nobody', () => {
    const a = record(submission('a', null), hashes(20));
    const b = record(submission('b', 11), hashes(20));
    expect(findOriginal(b, [a], base)).toBeNull();
    expect(findOriginal(a, [b], base)).toBeNull();
  });

  it('resolves chains to the root, also when the root itself was replaced', () => {
    const a = record(submission('a', 1), hashes(20));
    const b = record(submission('b', 2), hashes(20, 'x'), { copyOf: 'a' }); // a noise copy: other hashes
    const c = record(submission('c', 3), hashes(20, 'x'));
    expect(findOriginal(c, [a, b], base)?.original.id).toBe('a');
  });

  it('a checkpoint without a tensor of its own is a copy of the base', () => {
    expect(findOriginal(record(submission('a', 5), []), [], base)).toMatchObject({ kind: 'base', original: base });
  });

  it('many identical tensors are a copy, a few are not', () => {
    const a = record(submission('a', 1), hashes(20));
    const mostly = [...hashes(18), 'new1', 'new2'];
    expect(findOriginal(record(submission('b', 2), mostly), [a], base)).toMatchObject({
      kind: 'tensors',
      evidence: { identicalTensors: 18, comparedTensors: 20 },
    });
    const half = [...hashes(10), ...hashes(10, 'own')];
    expect(findOriginal(record(submission('b', 2), half), [a], base)).toBeNull();
    const small = record(submission('a', 1), hashes(4));
    expect(findOriginal(record(submission('b', 2), [...hashes(3), 'own']), [small], base)).toBeNull();
  });

  it('embeddings and norms are no evidence, unless everything is the same', () => {
    const a = record(submission('a', 1), hashes(20));
    const b = record(submission('b', 2), [...hashes(19), 'own']);
    const stable = new Set(Object.keys(a.tensors).slice(0, 12));
    expect(findOriginal(b, [a], base)?.kind).toBe('tensors');
    expect(find(b, [a], base, UPSTREAM.copies, { ...origin, stable })).toBeNull();
    const same = record(submission('b', 2), hashes(20));
    expect(find(same, [a], base, UPSTREAM.copies, { ...origin, stable })?.kind).toBe('content');
  });

  it('noise far below the limit is a copy, near it nothing is decided, training is beyond', () => {
    const values = Array.from({ length: 4000 }, (_, i) => Math.sin(i * i));
    const moved = (size: number) => {
      const samples = { w: packBf16(values.map((v, i) => v * (1 + size * Math.cos(7 * i)))) };
      return record(submission('b', 2), hashes(20, 'n'), { samples });
    };
    const a = record(submission('a', 1), hashes(20), { samples: { w: packBf16(values) } });
    const rules = { ...UPSTREAM.copies, minCosine: 0.9999, maxRelativeL2: 0.01 };
    const certainty = (size: number) => find(moved(size), [a], base, rules, origin)?.certainty ?? null;
    // Multiplying by 1 + size cos moves a vector by size / sqrt(2) of its length.
    expect([0.003, 0.01, 0.0135, 0.0165, 0.03].map(certainty)).toEqual(['copy', 'copy', 'near', 'near', null]);
    const few = { ...rules, minSamples: 5000 };
    expect(find(moved(0.003), [a], base, few, origin)).toBeNull();
  });

  it('of a certain original and an earlier one that is only near, the certain one is named', () => {
    const values = Array.from({ length: 4000 }, (_, i) => Math.sin(i * i));
    const moved = (size: number) => ({ w: packBf16(values.map((v, i) => v * (1 + size * Math.cos(7 * i)))) });
    const rules = { ...UPSTREAM.copies, minCosine: 0.9999, maxRelativeL2: 0.01 };
    const near = record(submission('a', 1), hashes(20, 'a'), { samples: moved(0.0135) });
    const sure = record(submission('b', 2), hashes(20, 'b'), { samples: moved(0.002) });
    const thief = record(submission('c', 3), hashes(20, 'c'), { samples: moved(0) });
    expect(find(thief, [near, sure], base, rules, origin)).toMatchObject({ certainty: 'copy', original: { id: 'b' } });
    expect(find(thief, [near], base, rules, origin)).toMatchObject({ certainty: 'near', original: { id: 'a' } });
  });

  it('chunks: most of them identical are a copy, without a sampled value', () => {
    const digests = (n: number, own: number) =>
      Buffer.from(Array.from({ length: 8 * n }, (_, i) => (i < 8 * own ? 200 : 0) + (i % 50))).toString('base64');
    const a = record(submission('a', 1), hashes(20), { chunks: { w: digests(100, 0) } });
    const certainty = (own: number) =>
      findOriginal(record(submission('b', 2), hashes(20, 'n'), { chunks: { w: digests(100, own) } }), [a], base)
        ?.certainty ?? null;
    expect([0, 5, 9, 12, 20].map(certainty)).toEqual(['copy', 'copy', 'near', 'near', null]);
  });

  it('never accuses the first of any set of equal checkpoints, and always the others', () => {
    const reveals = fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(reveals, (blocks) => {
        const records = blocks.map((block) => record(submission(`h${block}`, block), hashes(14)));
        const first = `h${Math.min(...blocks)}`;
        for (const one of records) {
          const found = findOriginal(one, records, base);
          expect(found?.original.id ?? first).toBe(first);
          expect(found === null).toBe(one.submission.id === first);
        }
      }),
    );
  });
});

describe('findSameRevision', () => {
  it('refuses a revision that somebody else committed earlier, in any letter case of the repository', () => {
    const a = submission('a', 5);
    const thief = { ...submission('b', 6), repo: 'A/M', revision: a.revision };
    expect(findSameRevision(thief, [a, thief])?.original.id).toBe('a');
    expect(findSameRevision(a, [a, thief])).toBeNull();
    expect(findSameRevision({ ...a, id: 'a2', revealedAtBlock: 9 }, [a])).toBeNull(); // the same hotkey again
  });
});

describe('similarity', () => {
  it('knows equal, opposite, scaled and empty vectors', () => {
    expect(similarity([1, 2], [1, 2])).toEqual({ cosine: 1, relativeL2: 0 });
    expect(similarity([1, 0], [-1, 0])).toEqual({ cosine: -1, relativeL2: 2 });
    expect(similarity([1, 0], [2, 0])).toEqual({ cosine: 1, relativeL2: 0.5 });
    expect(similarity([0, 0], [0, 0])).toEqual({ cosine: 0, relativeL2: 1 });
  });
});
