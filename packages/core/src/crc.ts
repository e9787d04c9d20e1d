/**
 * Two checksums that S3 uses and Node does not have: CRC-32C (Castagnoli, RFC 9260 appendix A) and CRC-64/NVME ("NVM Express
 * NVM command set specification", 5.2.1.3.4). Pure arithmetic. For reading what a server announced; no security rests on them.
 */

let table32c: Int32Array | undefined;
let tables64: { readonly high: Int32Array; readonly low: Int32Array } | undefined;

export class Crc32c {
  readonly #table = tableOf32c();
  #value = -1;

  update(bytes: Uint8Array): void {
    const table = this.#table;
    let value = this.#value;
    for (let at = 0; at < bytes.length; at++) value = table[(value ^ bytes[at]!) & 255]! ^ (value >>> 8);
    this.#value = value;
  }

  base64(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(~this.#value);
    return bytes.toString("base64");
  }
}

/** In two halves: numbers hold 53 bits, and BigInt is a hundred times slower. */
export class Crc64Nvme {
  readonly #tables = tablesOf64();
  #high = -1;
  #low = -1;

  update(bytes: Uint8Array): void {
    const tables = this.#tables;
    let high = this.#high;
    let low = this.#low;
    for (let at = 0; at < bytes.length; at++) {
      const index = (low ^ bytes[at]!) & 255;
      low = ((low >>> 8) | (high << 24)) ^ tables.low[index]!;
      high = (high >>> 8) ^ tables.high[index]!;
    }
    this.#high = high;
    this.#low = low;
  }

  base64(): string {
    const bytes = Buffer.alloc(8);
    bytes.writeInt32BE(~this.#high, 0);
    bytes.writeInt32BE(~this.#low, 4);
    return bytes.toString("base64");
  }
}

function tableOf32c(): Int32Array {
  table32c ??= Int32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0x82f63b78 : 0);
    return value;
  });
  return table32c;
}

function tablesOf64() {
  if (tables64) return tables64;
  const high = new Int32Array(256);
  const low = new Int32Array(256);
  for (let index = 0; index < 256; index++) {
    let [h, l] = [0, index];
    for (let bit = 0; bit < 8; bit++) {
      const isOdd = (l & 1) === 1;
      l = (l >>> 1) | (h << 31);
      h >>>= 1;
      if (isOdd) {
        // The polynomial 0xad93d23594c93659, reversed.
        h ^= 0x9a6c9329;
        l ^= 0xac4bc9b5;
      }
    }
    high[index] = h;
    low[index] = l;
  }
  tables64 = { high, low };
  return tables64;
}
