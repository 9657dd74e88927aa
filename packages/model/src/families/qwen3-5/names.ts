/** @file How public checkpoints of Qwen3.5 name the tensors of their text model. */
import type { NameMap } from '../../checkpoint/names.ts';

/** What a text model leaves out: the vision tower, and the layers that draft tokens ahead. */
const OTHER_PARTS = /^(model\.visual|mtp)\./;

export const qwen35Names: NameMap = {
  unfused: () => null,
  tableName: (name) => (OTHER_PARTS.test(name) ? null : name.replace(/^model\.language_model\./, 'model.')),
};
