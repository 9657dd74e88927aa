/** @file The stack of layers of any family: loops over it, each layer's part of the state, memory while it runs. */
import { checkpoint, type Rotation, recording, scope, type Tensor } from '@quasar/tensor';
import type { Block, BlockOptions, LayerOutputs, MimicPair } from '../block.ts';
import type { LayerContext } from '../layers/context.ts';
import { type Parameters, weight } from '../parameters.ts';

export interface Stack<C> {
  config: C;
  parameters: Parameters;
  block: Block;
  options: BlockOptions;
  rotation: Rotation | null;
  layers: number;
  /** Passes over the layers, each with a state of its own. */
  loops: number;
}

/**
 * h [B, T, D] through every layer of every loop.
 * @param run one layer: h after it, and what else the family wants of it
 * @returns what each layer gave, in order, what was asked for of them, and the tensors of the state after the block
 * @throws QuasarError checkpoint.missing_tensor
 */
export function runLayers<C, O extends { h: Tensor }>(
  { config, parameters, block, options, rotation, layers, loops }: Stack<C>,
  h: Tensor,
  run: (h: Tensor, layer: number, c: LayerContext<C>) => O,
): { h: Tensor; outputs: O[]; layerOutputs: LayerOutputs; tensors: Map<string, Tensor> } {
  const { state, cached, chunk, recompute = false, hiddenStates = false, mimic = false } = options;
  const isRecording = recording([...parameters.values()]);
  const { auxLosses = isRecording } = options;
  // Without a backward pass to come, the temporaries of a layer are freed with it.
  const perLayer = <T>(body: () => T): T => (!isRecording ? scope(body) : recompute ? checkpoint(body) : body());
  const tensors = new Map<string, Tensor>();
  const outputs: O[] = [];
  const pairs: MimicPair[] = [];
  for (let loop = 0; loop < loops; loop++) {
    for (let layer = 0; layer < layers; layer++) {
      const key = (name: string) => `${loop}.${layer}.${name}`;
      const input = outputs.at(-1)?.h ?? h;
      const { output, saved, found } = perLayer(() => {
        const saved = new Map<string, Tensor>();
        const found: MimicPair[] = [];
        const output = run(input, layer, {
          config,
          positions: block.positions,
          rotation,
          cached,
          chunk,
          auxLosses,
          mimic: mimic ? (attention, branch) => found.push({ layer, attention, branch }) : undefined,
          weight: (name) => weight(parameters, `model.layers.${layer}.${name}`),
          load: (name) => state?.get(key(name)) ?? null,
          save: (name, tensor) => saved.set(key(name), tensor),
        });
        return { output, saved, found };
      });
      outputs.push(output);
      pairs.push(...found);
      for (const [name, tensor] of saved) tensors.set(name, tensor);
    }
  }
  const layerOutputs = {
    hiddenStates: hiddenStates ? outputs.map((output) => output.h) : undefined,
    mimic: mimic ? pairs : undefined,
  };
  return { h: outputs.at(-1)?.h ?? h, outputs, layerOutputs, tensors };
}
