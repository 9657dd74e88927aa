/** @file Rows of different lengths in one block: how many go together, and padding on the left. */

/** Tokens per forward block: enough to fill the kernels, small enough for memory. */
export const BLOCK_TOKENS = 8192;

/** Indices of rows in order, cut so that the rows of a group, padded to its longest, fit in a block. */
export function groupRows(lengths: readonly number[]): number[][] {
  const groups: number[][] = [];
  let longest = 0;
  lengths.forEach((length, i) => {
    const group = groups.at(-1);
    longest = Math.max(longest, length);
    if (group && (group.length + 1) * longest <= BLOCK_TOKENS) group.push(i);
    else {
      groups.push([i]);
      longest = length;
    }
  });
  return groups;
}

export interface PaddedBlock {
  B: number;
  T: number;
  /** [B, T] */
  tokens: Int32Array;
  /** [B, T]; the padding is a segment of its own, and each prompt starts at 0: states reset there. */
  positions: Int32Array;
}

/** Blocks that together hold all prompts, each padded on the left to the longest one. No prompt is empty. */
export function paddedBlocks(prompts: readonly Int32Array[], padId: number): PaddedBlock[] {
  const B = prompts.length;
  const length = Math.max(...prompts.map((prompt) => prompt.length));
  const width = Math.max(1, Math.floor(BLOCK_TOKENS / B));
  const blocks: PaddedBlock[] = [];
  for (let from = 0; from < length; from += width) {
    const T = Math.min(width, length - from);
    const tokens = new Int32Array(B * T).fill(padId);
    const positions = new Int32Array(B * T);
    prompts.forEach((prompt, b) => {
      const padding = length - prompt.length;
      for (let t = 0; t < T; t++) {
        const at = from + t - padding;
        if (at >= 0) tokens[b * T + t] = prompt[at] as number;
        positions[b * T + t] = at >= 0 ? at : from + t;
      }
    });
    blocks.push({ B, T, tokens, positions });
  }
  return blocks;
}
