/** @file What every reference kernel takes: buffers `p` and numbers `n`, in the order stated above the C kernels. */
export type Numbers = Float64Array | Float32Array | Int32Array;

export type ReferenceKernel = (p: (Numbers | null)[], n: readonly number[]) => void;
