/** @file How public checkpoints of Qwen3.5 name the tensors of their text model, and how they cut its experts. */
import type { NameMap } from '../../checkpoint/names.ts';

/** What a text model leaves out: the vision tower, and the layers that draft tokens ahead. */
const OTHER_PARTS = /^(model\.visual|mtp)\./;

/** Fused experts: those of the table, and the matrices of a file that they are made of. */
const EXPERTS: Readonly<Record<string, { fused: string; matrices: readonly string[] }>> = {
  experts_w12: { fused: 'gate_up_proj', matrices: ['gate_proj', 'up_proj'] },
  experts_w3: { fused: 'down_proj', matrices: ['down_proj'] },
};

function expertsAt(name: string): { at: string; fused: string; matrices: readonly string[] } | null {
  const [, layer, which] = /^(.*)\.(experts_\w+)$/.exec(name) ?? [];
  const form = which === undefined ? undefined : EXPERTS[which];
  return form ? { at: `${layer}.experts`, ...form } : null;
}

export const qwen35Names: NameMap = {
  unfused(name) {
    const experts = expertsAt(name);
    return experts && ((e) => experts.matrices.map((matrix) => `${experts.at}.${e}.${matrix}.weight`));
  },
  transposed(name) {
    const experts = expertsAt(name);
    return experts && `${experts.at}.${experts.fused}`;
  },
  tableName: (name) => (OTHER_PARTS.test(name) ? null : name.replace(/^model\.language_model\./, 'model.')),
};
