/** @file Packing: rows are full, documents keep their order, positions and targets belong to their document. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { columns, type Document, pack, weightOf } from './batch.ts';

const document = fc
  .array(fc.tuple(fc.nat(99), fc.float({ min: 0, max: 1, noNaN: true })), { minLength: 1, maxLength: 12 })
  .map(
    (tokens): Document => ({
      ids: Int32Array.from(tokens, ([id]) => id),
      weights: Float32Array.from(tokens, ([, weight]) => weight),
    }),
  );

function from(documents: readonly Document[]): { next(): Document } {
  let at = 0;
  return { next: () => documents[at++ % documents.length] as Document };
}

describe('pack', () => {
  it('lays documents end to end; only a row cuts them', () => {
    const some = fc.array(document, { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 20 }), (documents, B, T) => {
        const batch = pack(from(documents), B, T);
        const next = from(documents);
        for (let b = 0; b < B; b++) {
          for (let t = 0; t < T; ) {
            const { ids, weights } = next.next();
            for (let i = 0; i < ids.length && t < T; i++, t++) {
              const at = b * T + t;
              expect(batch.tokens[at]).toBe(ids[i]);
              expect(batch.positions[at]).toBe(i);
              const isLast = i + 1 === ids.length;
              expect(batch.targets[at]).toBe(isLast ? -1 : ids[i + 1]);
              expect(batch.weights[at]).toBe(isLast ? 0 : weights[i + 1]);
            }
          }
        }
        expect(batch.tokens.length).toBe(B * T);
      }),
    );
  });

  it('is a function of its documents', () => {
    fc.assert(
      fc.property(fc.array(document, { minLength: 1 }), (documents) => {
        expect(pack(from(documents), 2, 9)).toEqual(pack(from(documents), 2, 9));
      }),
    );
  });

  it('predicts the first token that no longer fits', () => {
    const ids = Int32Array.of(7, 8, 9);
    const { targets, weights } = pack({ next: () => ({ ids, weights: Float32Array.of(0, 1, 0.5) }) }, 1, 2);
    expect([...targets]).toEqual([8, 9]);
    expect([...weights]).toEqual([1, 0.5]);
  });

  it('refuses a document of nothing, which could fill a row for ever', () => {
    const empty = { ids: new Int32Array(0), weights: new Float32Array(0) };
    expect(() => pack({ next: () => empty }, 1, 4)).toThrow(expect.objectContaining({ code: 'data.empty_document' }));
  });
});

describe('views of a teacher', () => {
  const top = {
    k: 2,
    ids: Int32Array.of(1, 2, 3, 4, 5, 6),
    logprobs: Float32Array.of(-1, -2, -3, -4, -5, -6),
    tail: Float32Array.of(0.1, 0.2, 0.3),
  };
  /** Views of the predictions of ids 2, 3 and 4 of five. */
  const seen: Document = {
    ids: Int32Array.of(9, 8, 7, 6, 5),
    weights: new Float32Array(5).fill(1),
    teacher: { from: 2, top },
  };
  const plain: Document = { ids: Int32Array.of(4, 3), weights: new Float32Array(2).fill(1) };

  it('stay with their predictions', () => {
    const { teacher, targets } = pack(from([plain, seen]), 1, 7);
    expect([...(teacher?.index ?? [])]).toEqual([3, 4, 5]);
    expect([...(teacher?.index ?? [])].map((at) => targets[at])).toEqual([7, 6, 5]);
    expect(teacher?.top).toEqual(top);
    expect(pack(from([plain]), 2, 4).teacher).toBeUndefined();
  });

  it('are cut with the row', () => {
    const { teacher } = pack(from([plain, seen]), 1, 4);
    expect([...(teacher?.index ?? [])]).toEqual([3]);
    expect(teacher?.top).toEqual({
      k: 2,
      ids: Int32Array.of(1, 2),
      logprobs: Float32Array.of(-1, -2),
      tail: top.tail.slice(0, 1),
    });
  });

  it('of different k are refused', () => {
    const other = { ...seen, teacher: { from: 1, top: { ...top, k: 1 } } };
    expect(() => pack(from([seen, other]), 1, 10)).toThrow(expect.objectContaining({ code: 'data.mixed_views' }));
  });
});

it('the columns of a batch together are the batch', () => {
  const documents = fc.array(document, { minLength: 1, maxLength: 8 });
  const size = fc.integer({ min: 1, max: 12 });
  fc.assert(
    fc.property(documents, fc.integer({ min: 1, max: 3 }), size, size, (some, B, T, width) => {
      const views = some.map((one): Document => {
        const n = one.ids.length;
        const top = { k: 1, ids: one.ids, logprobs: new Float32Array(n).fill(-1), tail: one.weights };
        return { ...one, teacher: { from: 0, top } };
      });
      const batch = pack(from(views), B, T);
      let weight = 0;
      const found = new Map<number, number>();
      for (let at = 0; at < T; at += width) {
        const block = columns(batch, at, Math.min(width, T - at));
        weight += weightOf(block);
        for (let b = 0; b < B; b++) {
          for (let t = 0; t < block.T; t++) {
            for (const key of ['tokens', 'targets', 'weights', 'positions'] as const)
              expect(block[key][b * block.T + t]).toBe(batch[key][b * T + at + t]);
          }
        }
        block.teacher?.index.forEach((i, row) => {
          const whole = Math.floor(i / block.T) * T + at + (i % block.T);
          found.set(whole, block.teacher?.top.ids[row] as number);
          expect(block.teacher?.top.ids[row]).toBe(block.targets[i]);
        });
      }
      expect(weight).toBeCloseTo(weightOf(batch), 4);
      expect([...found.keys()].sort((a, b) => a - b)).toEqual([...(batch.teacher?.index ?? [])]);
    }),
  );
});
