/**
 * @file Check: the numbers of the weights: finite, of a sane size, and such that the model can be trained further.
 *
 * NaN makes a KL pass or fail by accident; denormal numbers make some machines a hundred times slower and are zero on
 * others; a model whose norms were scaled up and whose matrices were scaled down says the same as before but explodes at
 * the first step of whoever trains on it (subnet.md section 5, anti-finetune probe). All bounds are far from what training gives:
 * each tensor is measured by the base model's own scale.
 */
import type { Issue } from '@quasar/base';
import type { SubnetConfig } from '../rules/config.ts';
import type { ModelLock } from './model-lock.ts';
import type { TensorScan } from './scan-weights.ts';

/** The scale of a tensor that starts at zero or nearly so: biases and gates grow from nothing. */
const MIN_BASE_RMS = 0.02;

type Rules = SubnetConfig['numbers'];
type Finding = Omit<Issue, 'path'>;

export function checkWeightValues(scan: ReadonlyMap<string, TensorScan>, lock: ModelLock, rules: Rules): Issue[] {
  return [...scan].flatMap(([name, tensor]) =>
    findings(name, tensor, lock, rules).map((one) => ({ ...one, path: `model.safetensors#${name}` })),
  );
}

function findings(name: string, tensor: TensorScan, lock: ModelLock, rules: Rules): Finding[] {
  const { nonFinite, firstNonFinite, maxAbs } = tensor;
  if (nonFinite > 0) {
    const message = `${nonFinite} values are NaN or infinite, the first at index ${firstNonFinite}`;
    return [{ code: 'precheck.not_finite', message }];
  }
  if (maxAbs > rules.maxAbs)
    return [
      { code: 'precheck.huge_values', message: `largest value ${show(maxAbs)}, expected at most ${rules.maxAbs}` },
    ];
  const role = lock.roles.get(name);
  if (role === 'norm') return normFindings(tensor, rules);
  if (role === 'buffer') return bufferFindings(name, tensor, rules);
  const baseRms = lock.base.get(name)?.rms ?? 0;
  return [...scaleFindings(tensor, baseRms, rules), ...degenerateFindings(name, tensor, baseRms, rules)];
}

function normFindings({ maxAbs }: TensorScan, { maxNormWeight }: Rules): Finding[] {
  if (maxAbs <= maxNormWeight) return [];
  const hint = 'Weights of norms stay near 1. Rescaled norms make a model that nobody can train further.';
  return [
    {
      code: 'precheck.norm_weight',
      message: `largest norm weight ${show(maxAbs)}, expected at most ${maxNormWeight}`,
      hint,
    },
  ];
}

function bufferFindings(name: string, { maxAbs }: TensorScan, { maxRouterBias }: Rules): Finding[] {
  if (!/bias|momentum/.test(name) || maxAbs <= maxRouterBias) return [];
  const message = `router bias of ${show(maxAbs)}, expected at most ${maxRouterBias}: it alone decides which experts are used`;
  return [{ code: 'precheck.router_collapse', message }];
}

function scaleFindings({ rms, maxRowRms }: TensorScan, baseRms: number, { maxRmsRatio }: Rules): Finding[] {
  const limit = maxRmsRatio * Math.max(baseRms, MIN_BASE_RMS);
  if (maxRowRms <= limit) return [];
  const where = rms > limit ? 'root mean square' : 'root mean square of one row';
  const hint = 'Look for a diverged training run, or for layers that were rescaled.';
  return [{ code: 'precheck.scale', message: `${where} ${show(maxRowRms)}, expected at most ${show(limit)}`, hint }];
}

function degenerateFindings(name: string, tensor: TensorScan, baseRms: number, rules: Rules): Finding[] {
  const { size, denormal, maxAbs, minRowRms, maxRowRms, rows } = tensor;
  if (maxAbs === 0 && baseRms > 0) return [{ code: 'precheck.all_zero', message: 'every value is zero' }];
  if (denormal > rules.maxDenormalShare * size) {
    const message = `${denormal} of ${size} values are denormal numbers`;
    return [{ code: 'precheck.denormal', message, hint: 'Set values this small to zero before you export.' }];
  }
  if (name.includes('router') && rows > 1 && minRowRms === maxRowRms)
    return [
      {
        code: 'precheck.router_collapse',
        message: 'all rows of the router are alike: every token goes to the same experts',
      },
    ];
  return [];
}

const show = (value: number) => Number(value.toPrecision(4)).toString();
