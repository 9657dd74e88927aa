/** @file Blocks of a WebAssembly memory: apart from each other, aligned, reused, joined when nothing else is left. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blockSize, Heap } from './heap.ts';

const PAGE = 65536;

function memoryOf(pages: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: pages, shared: true });
}

describe('Heap', () => {
  it('gives blocks that lie apart, in memory and 64-byte aligned, whatever is freed in between', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ bytes: fc.nat(200_000), frees: fc.nat(3) }), { maxLength: 60 }), (steps) => {
        const memory = memoryOf(80);
        const heap = new Heap(memory, 1000);
        const live: { start: number; bytes: number }[] = [];
        for (const { bytes, frees } of steps) {
          const start = heap.allocate(bytes);
          if (start !== 0) {
            expect(start % 64).toBe(0);
            expect(start).toBeGreaterThanOrEqual(1000);
            expect(start + blockSize(bytes)).toBeLessThanOrEqual(memory.buffer.byteLength);
            for (const other of live) {
              expect(start + blockSize(bytes) <= other.start || other.start + blockSize(other.bytes) <= start).toBe(
                true,
              );
            }
            live.push({ start, bytes });
          }
          for (let i = 0; i < frees && live.length > 0; i++) {
            const [freed] = live.splice((bytes + i) % live.length, 1);
            if (freed) heap.free(freed.start, freed.bytes);
          }
        }
        expect(heap.use.usedBytes).toBe(live.reduce((sum, { bytes }) => sum + blockSize(bytes), 0));
      }),
    );
  });

  it('gives a freed block to the next of its size', () => {
    const heap = new Heap(memoryOf(4), 0);
    const address = heap.allocate(5000);
    heap.free(address, 5000);
    expect(heap.use).toEqual({ usedBytes: 0, spareBytes: blockSize(5000), peakBytes: blockSize(5000) });
    expect(heap.allocate(blockSize(5000))).toBe(address);
  });

  it('joins freed neighbours when the memory cannot grow', () => {
    const heap = new Heap(memoryOf(8), 64);
    const small = Array.from({ length: 7 }, () => heap.allocate(PAGE));
    expect(small).not.toContain(0);
    expect(heap.allocate(4 * PAGE)).toBe(0);
    for (const address of small.slice(0, 6)) heap.free(address, PAGE);
    expect(heap.allocate(4 * PAGE)).not.toBe(0);
    expect(heap.use.spareBytes).toBe(0);
  });

  it('leaves pages that somebody else took alone', () => {
    const memory = memoryOf(8);
    const heap = new Heap(memory, 64);
    heap.allocate(2 * PAGE);
    const theirs = memory.grow(1) * PAGE;
    const blocks = Array.from({ length: 60 }, () => heap.allocate(4096)).filter((address) => address !== 0);
    expect(blocks.some((address) => address > theirs)).toBe(true);
    expect(blocks.filter((address) => address > theirs - 4096 && address < theirs + PAGE)).toEqual([]);
  });
});
