/** @file How public files of a family may name and cut its tensors otherwise than its tensor table does. */
import type { Issue } from '@quasar/base';
import { showName } from '../show.ts';

export interface NameMap {
  /**
   * Of a fused expert tensor [E, in, out]: the names of expert e's matrices [out_i, in] in an unfused file, whose transposes
   * stand side by side in it. Null for tensors that no file cuts.
   */
  unfused(name: string): ((expert: number) => string[]) | null;
  /** Of a fused expert tensor [E, in, out]: the name of a tensor [E, out, in] that public files may have in its place. */
  transposed?(name: string): string | null;
  /**
   * The table's name of a tensor of a file; null: of a part of the public model that this one leaves out, by a rule that
   * names the part. Absent: files name tensors as the table does.
   */
  tableName?(name: string): string | null;
}

/** Tensors of files under the names of the table, the names of those left out, and tensors that have one name. */
export function renamed<T>(
  tensors: ReadonlyMap<string, T>,
  names: NameMap | null,
): { tensors: ReadonlyMap<string, T>; leftOut: string[]; issues: Issue[] } {
  const [leftOut, issues]: [string[], Issue[]] = [[], []];
  if (!names?.tableName) return { tensors, leftOut, issues };
  const found = new Map<string, T>();
  for (const [name, tensor] of tensors) {
    const to = names.tableName(name);
    if (to === null) leftOut.push(name);
    else if (found.has(to)) {
      const message = `another tensor of the files is ${to} too`;
      issues.push({ code: 'checkpoint.two_names', path: showName(name), message });
    } else found.set(to, tensor);
  }
  return { tensors: found, leftOut, issues };
}

/** One tensor of the table by the tensors of a file: itself, one with its last axes exchanged, or the matrices of each expert. */
export type Source = { kind: 'whole' } | { kind: 'transposed'; name: string } | { kind: 'unfused'; names: string[][] };

/** @param shape of the tensor of the table. `has`: whether the file names a tensor. */
export function sourceOf(
  name: string,
  shape: readonly number[],
  names: NameMap | null,
  has: (name: string) => boolean,
): Source {
  if (has(name)) return { kind: 'whole' };
  const turned = names?.transposed?.(name) ?? null;
  if (turned !== null && has(turned)) return { kind: 'transposed', name: turned };
  const of = names?.unfused(name) ?? null;
  if (!of) return { kind: 'whole' };
  const all = Array.from({ length: shape[0] as number }, (_, e) => of(e));
  return all.flat().some(has) ? { kind: 'unfused', names: all } : { kind: 'whole' };
}

/** Shape [out / count, in] of one of `count` matrices that make an expert of [E, in, out]. */
export function unfusedShape([, inner, out]: readonly number[], count: number): [number, number] {
  return [(out as number) / count, inner as number];
}

/** Of a tensor of a file that stands for [E, in, out] with its last axes exchanged. */
export function turnedShape([experts, inner, out]: readonly number[]): number[] {
  return [experts as number, out as number, inner as number];
}
