/** @file Sources whose documents are learned from otherwise than they come. */
import type { Document } from './batch.ts';
import type { Source } from './source.ts';

/** Every prediction counts the same: what a teacher thinks of a prompt is worth as much as what it thinks of a reply. */
export function evenlyWeighted<S extends Source>(source: S): S {
  return adapted(source, (document) => ({ ...document, weights: new Float32Array(document.ids.length).fill(1) }));
}

/** Text of which a teacher knows nothing worth learning (`Document.distils`). */
export function withoutTeacher<S extends Source>(source: S): S {
  return adapted(source, (document) => ({ ...document, distils: false }));
}

function adapted<S extends Source>(source: S, change: (document: Document) => Document): S {
  return {
    ...source,
    open(seed, position) {
      const reader = source.open(seed, position);
      return {
        next: () => change(reader.next()),
        get position() {
          return reader.position;
        },
      };
    },
  };
}
