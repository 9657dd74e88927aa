/** @file What a runtime's WebAssembly can do, asked by a module of one function. */

const ZERO = [0x41, 0x00, 0xfd, 0x0f]; // i32.const 0, i8x16.splat

/** Whether a function of these instructions that ends with a vector is valid. */
function validates(instructions: readonly number[]): boolean {
  const body = [0x00, ...instructions, 0x0b];
  const code = [0x01, body.length, ...body];
  return WebAssembly.validate(
    Uint8Array.of(
      ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
      ...[0x01, 0x05, 0x01, 0x60, 0x00, 0x01, 0x7b], // one type: () -> v128
      ...[0x03, 0x02, 0x01, 0x00], // one function of it
      ...[0x0a, code.length, ...code],
    ),
  );
}

export function hasSimd(): boolean {
  return validates(ZERO);
}

export function hasRelaxedSimd(): boolean {
  return validates([...ZERO, ...ZERO, ...ZERO, 0xfd, 0x85, 0x02]); // f32x4.relaxed_madd
}
