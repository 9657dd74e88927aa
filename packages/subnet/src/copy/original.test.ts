import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ContentRecord, findOriginal, findSameRevision, similarity, UPSTREAM_COPY_RULES } from './copy.ts';
import { BASE_ID, BASE_UID, type Submission } from './submission.ts';

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
  return { submission: one, tensors: Object.fromEntries(hashes.map((h, i) => [`t${i}`, h])), samples: {}, ...more };
}

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

  it('a little noise on every tensor is a copy, training is not', () => {
    const values = Array.from({ length: 600 }, (_, i) => Math.sin(i));
    const a = record(submission('a', 1), hashes(20), { samples: { w: values } });
    const noisy = record(submission('b', 2), hashes(20, 'n'), {
      samples: { w: values.map((v, i) => v + 1e-4 * Math.cos(7 * i)) },
    });
    const trained = record(submission('c', 2), hashes(20, 't'), {
      samples: { w: values.map((v, i) => v + 1e-2 * Math.cos(7 * i)) },
    });
    expect(findOriginal(noisy, [a], base)?.kind).toBe('noise');
    expect(findOriginal(trained, [a], base)).toBeNull();
    const few = record(submission('b', 2), hashes(20, 'n'), { samples: { w: values.slice(0, 100) } });
    expect(findOriginal(few, [{ ...a, samples: { w: values.slice(0, 100) } }], base)).toBeNull();
  });

  it('never accuses the first of any set of equal checkpoints, and always the others', () => {
    const reveals = fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(reveals, (blocks) => {
        const records = blocks.map((block) => record(submission(`h${block}`, block), hashes(14)));
        const first = `h${Math.min(...blocks)}`;
        for (const one of records) {
          const found = findOriginal(one, records, base, UPSTREAM_COPY_RULES);
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
