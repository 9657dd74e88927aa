/** @file Packing: rows are full, documents keep their order, positions and targets belong to their document. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Document, pack } from './batch.ts';

const document = fc
  .array(fc.tuple(fc.nat(99), fc.float({ min: 0, max: 1, noNaN: true })), { minLength: 1, maxLength: 12 })
  .map(
    (tokens): Document => ({
      ids: Int32Array.from(tokens, ([id]) => id),
      weights: Float32Array.from(tokens, ([, weight]) => weight),
    }),
  );

function from(documents: readonly Document[]): () => Document {
  let at = 0;
  return () => documents[at++ % documents.length] as Document;
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
            const { ids, weights } = next();
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
    const { targets, weights } = pack(() => ({ ids, weights: Float32Array.of(0, 1, 0.5) }), 1, 2);
    expect([...targets]).toEqual([8, 9]);
    expect([...weights]).toEqual([1, 0.5]);
  });

  it('refuses a document of nothing, which could fill a row for ever', () => {
    const empty = { ids: new Int32Array(0), weights: new Float32Array(0) };
    expect(() => pack(() => empty, 1, 4)).toThrow(expect.objectContaining({ code: 'data.empty_document' }));
  });
});
