// Typed arrays that grow by doubling.

type Typed = Int32Array | Float64Array | Uint8Array | Uint16Array;

/** Return `array` if `size` fits into it, otherwise a larger copy. */
export function grown<T extends Typed>(array: T, size: number): T {
    if (size <= array.length) return array;
    const Kind = array.constructor as new (length: number) => T;
    const larger = new Kind(Math.max(size, array.length * 2, 1024));
    larger.set(array as never);
    return larger;
}
