/** @file Floor 4: how good a model is: divergence from the teacher, the paired test, the axes and their composite. */
export {
  type AxisSpec,
  type AxisValue,
  type BrokenAxisRules,
  brokenAxes,
  type Composite,
  composeAxes,
  type ScoredAxis,
} from './composite.ts';
export {
  conditionalKl,
  fullKl,
  logSumExp,
  MIN_TAIL_MASS,
  mean,
  type TailBucketKl,
  type TeacherPosition,
  tailBucketKl,
  teacherPosition,
  topIds,
} from './divergence.ts';
export { normalTwoSided, normalUpperTail } from './normal.ts';
export {
  areTied,
  type BootstrapInterval,
  bootstrapInterval,
  type PairedRules,
  type PairedTest,
  pairedDeltas,
  pairedTest,
  testDeltas,
  UPSTREAM_PAIRED_RULES,
} from './paired.ts';
