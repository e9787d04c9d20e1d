/**
 * The order of keys in a listing: by the bytes of their UTF-8, as S3 sorts. Never by locale, and not by `<`, which
 * compares UTF-16 units and puts U+1F512 (a surrogate pair) before U+FF5E.
 */

/** Negative, zero or positive, for `sort`. The order of UTF-8 bytes is the order of code points. */
export function compareKeys(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

// A surrogate stands for a code point above 0xFFFF: it sorts after every unit that stands for itself.
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
