/** What to do about an error that a newcomer is likely to meet. Words only. */

const BY_CODE: Readonly<Record<string, string>> = {
  STORE_NO_BUCKET: "Create the bucket first, for example: aws s3 mb s3://NAME --endpoint-url URL",
  STORE_NO_CREDENTIALS: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
  STORE_BAD_CREDENTIALS:
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if your keys have one).",
  STORE_ACCESS_DENIED: "These keys need s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject on the prefix.",
  STORE_WRONG_REGION: "Name the bucket's region: --region NAME, or AWS_REGION.",
  STORE_REDIRECT: "Name the bucket's own region (--region) or endpoint (--endpoint).",
  STORE_CLOCK_SKEW: "Set this machine's clock.",
  STORE_UNREACHABLE: "Is the server running, and is --endpoint its address?",
  STORE_TIMEOUT: "Is the server running, and is --endpoint its address?",
  STORE_NOT_S3: "Is --endpoint the address of the S3 interface, not of a web console?",
};

const BY_OPTION: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
  AWS_SECRET_ACCESS_KEY: "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
  AWS_REGION: "Set AWS_REGION, or give --region NAME.",
};

export function adviceFor(code: unknown, option: unknown): string | undefined {
  const byOption = typeof option === "string" ? BY_OPTION[option] : undefined;
  if (byOption !== undefined) return byOption;
  if (code === "INVALID_OPTION") return "npm run demo -- --help shows how stores are named.";
  return typeof code === "string" ? BY_CODE[code] : undefined;
}
