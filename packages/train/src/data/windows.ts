/**
 * @file Cutting a document into windows.
 *
 * A document of m predictions (tokens but the first) is one window when m <= W. A longer one has one window of `phase` predictions,
 * then windows of W, then what is left; so there are ceil(m / W) + 1 slots, of which the first or the last may be empty. Every
 * prediction is in one window, whatever the phase; with another phase in each epoch it is seen with other contexts.
 */

/** Windows of a document, empty ones included. */
export function windowSlots(predictions: number, W: number): number {
  return predictions <= W ? Math.min(1, predictions) : Math.ceil(predictions / W) + 1;
}

/** Predictions [from, to) of a slot; equal when it is empty. @param phase from 0 to W - 1 */
export function windowAt(predictions: number, W: number, phase: number, slot: number): { from: number; to: number } {
  if (predictions <= W) return { from: 0, to: predictions };
  const from = slot === 0 ? 0 : Math.min(predictions, phase + (slot - 1) * W);
  return { from, to: Math.min(predictions, phase + slot * W) };
}
