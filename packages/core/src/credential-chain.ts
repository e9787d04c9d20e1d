/**
 * From the plan (s3-settings) to keys: at hand, from a program, or through the optional peer `@aws-sdk/credential-providers`,
 * which is loaded only when a plan needs it and asked for by name when it is missing. Decides no precedence, keeps nothing.
 */
import type { Clock } from "./clock.js";
import type { S3Credentials, S3CredentialsProvider } from "./credentials.js";
import { StoreError } from "./errors.js";
import { processCredentials } from "./process-credentials.js";
import type { CredentialPlan, Environment } from "./s3-settings.js";

const PEER = "@aws-sdk/credential-providers";

/** What is used of it. */
interface Providers {
  fromIni(options: object): S3CredentialsProvider;
  fromTokenFile(options: object): S3CredentialsProvider;
  fromHttp(options: object): S3CredentialsProvider;
  fromInstanceMetadata(options: object): S3CredentialsProvider;
}

export interface ChainParts {
  readonly env: Environment;
  readonly clock: Clock;
  readonly region: string;
  /** The config file and the credentials file. */
  readonly files: readonly { readonly path: string }[];
  /** Default: `import`. */
  readonly load?: ((name: string) => Promise<unknown>) | undefined;
}

export function credentialsOf(plan: CredentialPlan, parts: ChainParts): S3Credentials | S3CredentialsProvider {
  switch (plan.from) {
    case "options":
    case "keys":
      return plan.credentials;
    case "process":
      return processCredentials(plan.command, plan.profile, parts);
    case "nowhere":
      return async () => {
        throw none(plan.looked, "");
      };
    default:
      return fromPeer(plan, parts);
  }
}

type PeerPlan = Exclude<CredentialPlan, { readonly from: "options" | "keys" | "process" | "nowhere" }>;

function fromPeer(plan: PeerPlan, parts: ChainParts): S3CredentialsProvider {
  let asked: Promise<S3CredentialsProvider> | undefined;
  return async () => {
    // Kept: some of its providers remember what they learned.
    asked ??= provider(plan, parts);
    let ask: S3CredentialsProvider;
    try {
      ask = await asked;
    } catch (error) {
      asked = undefined;
      throw error;
    }
    try {
      return await ask();
    } catch (cause) {
      if (plan.from === "instance") throw none(plan.looked, "; the instance's metadata did not answer", cause);
      throw new StoreError(`no credentials from the ${described(plan)}`, {
        code: "STORE_BAD_CREDENTIALS",
        kind: "denied",
        cause,
      });
    }
  };
}

async function provider(plan: PeerPlan, parts: ChainParts): Promise<S3CredentialsProvider> {
  const { env, region, files, load = (name: string) => import(name) } = parts;
  let peer: Providers;
  try {
    peer = (await load(PEER)) as Providers;
  } catch (cause) {
    if (plan.from === "instance")
      throw none(plan.looked, `; to ask the metadata of an instance, install ${PEER}`, cause);
    throw new StoreError(`the ${described(plan)} needs the package ${PEER}, which cannot be loaded: install it`, {
      code: "STORE_NO_CREDENTIALS",
      kind: "denied",
      cause,
      details: { package: PEER },
    });
  }
  const clientConfig = { region };
  switch (plan.from) {
    case "profile": {
      const [configFilepath, filepath] = files.map(({ path }) => path);
      return peer.fromIni({ profile: plan.profile, configFilepath, filepath, clientConfig, ignoreCache: true });
    }
    case "web identity":
      return peer.fromTokenFile({
        webIdentityTokenFile: env.AWS_WEB_IDENTITY_TOKEN_FILE,
        roleArn: env.AWS_ROLE_ARN,
        roleSessionName: env.AWS_ROLE_SESSION_NAME,
        clientConfig,
      });
    case "container":
      return peer.fromHttp({
        awsContainerCredentialsRelativeUri: env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI,
        awsContainerCredentialsFullUri: env.AWS_CONTAINER_CREDENTIALS_FULL_URI,
        awsContainerAuthorizationToken: env.AWS_CONTAINER_AUTHORIZATION_TOKEN,
        awsContainerAuthorizationTokenFile: env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE,
      });
    default:
      return peer.fromInstanceMetadata({});
  }
}

function described(plan: PeerPlan): string {
  if (plan.from === "profile") return `role or sign-on of profile ${plan.profile}`;
  return plan.from === "instance" ? "instance's metadata" : plan.from === "container" ? "container" : plan.from;
}

function none(looked: readonly string[], more: string, cause?: unknown): StoreError {
  return new StoreError(`no credentials in ${looked.join(", ")}${more}`, {
    code: "STORE_NO_CREDENTIALS",
    kind: "denied",
    cause,
  });
}
