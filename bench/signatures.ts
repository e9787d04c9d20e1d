/** How long one signature takes: the header form and the query form of a ticket's PUT, in rounds, the median of which counts. */
import { Signer, sha256Hex, UNSIGNED_PAYLOAD } from "../packages/core/src/sigv4.js";
import type { Pair } from "../packages/core/src/uri.js";
import { type Summary, summarize } from "./statistics.js";

export interface SignaturesResult {
  /** Microseconds for one, over rounds of 1000. */
  readonly headerUs: Summary;
  readonly queryUs: Summary;
  readonly perSecond: number;
}

const ROUND = 1_000;
const WARM_UP_ROUNDS = 10;

export function measureSignatures(seconds: number): SignaturesResult {
  const signer = new Signer({ region: "us-east-1", service: "s3" });
  const credentials = { accessKeyId: "testaccesskey", secretAccessKey: "testsecretkey" };
  const headers: Pair[] = [
    ["host", "127.0.0.1:9000"],
    ["content-type", "text/plain"],
    ["x-amz-meta-holder", "host:12345"],
    ["x-amz-meta-renewal", "0"],
  ];
  const path = "/bucket/jobs/nightly.lock.01JD3RY8Z4T8M5QW6V7X9ABCDE.x.30000-0";
  const request = { method: "PUT", path, query: [], headers };
  const nowMs = Date.now();
  const round = (sign: (at: number) => unknown): number => {
    const from = performance.now();
    for (let n = 0; n < ROUND; n++) sign(nowMs + n);
    return (performance.now() - from) * (1000 / ROUND);
  };
  const payloadHash = sha256Hex("1");
  const byHeader = (at: number) => signer.signHeaders({ ...request, payloadHash }, credentials, at);
  const byQuery = (at: number) => {
    return signer.signQuery({ ...request, payloadHash: UNSIGNED_PAYLOAD }, credentials, at, 10);
  };
  for (let n = 0; n < WARM_UP_ROUNDS; n++) {
    round(byHeader);
    round(byQuery);
  }
  const [header, query]: [number[], number[]] = [[], []];
  const untilMs = performance.now() + seconds * 1000;
  while (performance.now() < untilMs) {
    header.push(round(byHeader));
    query.push(round(byQuery));
  }
  const headerUs = summarize(header);
  return { headerUs, queryUs: summarize(query), perSecond: 1e6 / headerUs.p50 };
}
