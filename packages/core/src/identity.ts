/**
 * The shape of the keys of a session, and of a function that answers them: that of AwsCredentialIdentity, so that every
 * provider of the AWS SDK fits. Shapes only; credentials.ts keeps them, sigv4.ts signs with them.
 */
import type { SigningCredentials } from "./sigv4.js";

export interface S3Credentials extends SigningCredentials {
  /** From then on they are refused. Anything with `getTime()` in epoch ms. */
  readonly expiration?: { getTime(): number } | undefined;
}

/** Asked before the first request and again shortly before expiry. May take its time, may fail. */
export type S3CredentialsProvider = () => Promise<S3Credentials>;

/** Providers of ours whose work outlives a question, and what ends it; never a caller's, which other sessions may share. */
export const PROVIDERS_ENDS = new WeakMap<S3CredentialsProvider, () => void>();
