/**
 * Opens a session as the AWS tools would: options, environment, shared files, surroundings. Puts the pieces together; what
 * wins is decided in s3-settings, and no credential is asked for before the first request.
 */
import { systemClock } from "./clock.js";
import { credentialsOf } from "./credential-chain.js";
import { InvalidError } from "./errors.js";
import { S3Session, type S3SessionOptions } from "./s3-session.js";
import { type Environment, settle } from "./s3-settings.js";
import { readSharedConfig } from "./shared-config-files.js";

/** What is said here wins over everything else. */
export interface S3ConfigOptions extends Partial<S3SessionOptions> {
  /**
   * Profile of the shared files (`~/.aws/config`, `~/.aws/credentials`). Named here, its credentials win over those of the
   * environment. Default: AWS_PROFILE, then `default` where there is one.
   */
  readonly profile?: string | undefined;
}

/**
 * A session with settings from the options, the environment and the shared files, in this order (docs/s3.md has the
 * table); its credentials may also come from a program, or through the optional peer `@aws-sdk/credential-providers` (which
 * reads `process.env`) from a role, a sign-on, a container or an instance. Nothing is sent before the first call; where
 * there are no credentials, that fails with STORE_NO_CREDENTIALS.
 *
 * @throws InvalidError for a setting that is missing or bad, naming it.
 */
export function openS3SessionFromConfig(options: S3ConfigOptions = {}, env: Environment = process.env): S3Session {
  const { profile: _, ...rest } = options;
  const shared = readSharedConfig(env);
  const { credentials, region, ...settled } = settle(options, env, shared);
  if (region === undefined)
    throw new InvalidError("region", "must be said: as an option, in AWS_REGION, or in the profile", undefined);
  const parts = { env, clock: options.clock ?? systemClock, region, files: shared.files };
  return new S3Session({ ...rest, ...settled, region, credentials: credentialsOf(credentials, parts) });
}
