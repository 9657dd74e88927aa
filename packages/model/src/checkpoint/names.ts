/** @file How public files of a family may name and cut its tensors otherwise than its tensor table does. */

export interface NameMap {
  /**
   * Of a fused expert tensor [E, in, out]: the names of expert e's matrices [out_i, in] in an unfused file, whose transposes
   * stand side by side in it. Null for tensors that no file cuts.
   */
  unfused(name: string): ((expert: number) => string[]) | null;
}

/** One tensor of the table by the tensors of a file: itself, or the matrices of each expert. */
export type Source = { kind: 'whole' } | { kind: 'unfused'; names: string[][] };

/** @param shape of the tensor of the table. `has`: whether the file names a tensor. */
export function sourceOf(
  name: string,
  shape: readonly number[],
  names: NameMap | null,
  has: (name: string) => boolean,
): Source {
  const of = names?.unfused(name) ?? null;
  if (!of || has(name)) return { kind: 'whole' };
  const all = Array.from({ length: shape[0] as number }, (_, e) => of(e));
  return all.flat().some(has) ? { kind: 'unfused', names: all } : { kind: 'whole' };
}

/** Shape [out / count, in] of one of `count` matrices that make an expert of [E, in, out]. */
export function unfusedShape([, inner, out]: readonly number[], count: number): [number, number] {
  return [(out as number) / count, inner as number];
}
