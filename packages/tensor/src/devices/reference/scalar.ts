/** @file Activation functions and their slopes. */
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
export const sigmoidSlope = (x: number): number => sigmoid(x) * sigmoid(-x);
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
export const silu = (x: number): number => x * sigmoid(x);
export const siluSlope = (x: number): number => sigmoid(x) * (1 + x * sigmoid(-x));
