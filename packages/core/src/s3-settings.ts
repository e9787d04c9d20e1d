/**
 * Which settings hold when several places say something: options, then the environment, then the profile; for credentials
 * then what the surroundings give (web identity, container, instance). Pure: the places are handed in, nothing is read and
 * nothing is asked. docs/s3.md has the table. Names of variables and of settings are those of the AWS SDKs and Tools
 * reference guide. An empty variable counts as absent, as in the AWS tools.
 */
import { InvalidError } from "./errors.js";
import type { S3Credentials, S3CredentialsProvider } from "./identity.js";
import { oneOf } from "./options.js";
import type { Profile, SharedConfig } from "./shared-config.js";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What may be said in the options. */
export interface Said {
  readonly profile?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  readonly bucket?: string | undefined;
  readonly credentials?: S3Credentials | S3CredentialsProvider | undefined;
  readonly forcePathStyle?: boolean | undefined;
  readonly caFile?: string | undefined;
  readonly dangerouslyDisableTlsVerification?: boolean | undefined;
  readonly proxy?: string | undefined;
  readonly noProxy?: string | undefined;
}

/** Where the keys come from. Only `keys` are at hand; all others are asked when the first request needs them. */
export type CredentialPlan =
  | { readonly from: "options"; readonly credentials: S3Credentials | S3CredentialsProvider }
  | { readonly from: "keys"; readonly credentials: S3Credentials }
  | { readonly from: "process"; readonly command: string; readonly profile: string }
  /** Through the optional peer. `instance` is a guess: nothing else said anything. */
  | { readonly from: "profile" | "instance"; readonly profile: string; readonly looked: readonly string[] }
  | { readonly from: "web identity" | "container" }
  | { readonly from: "nowhere"; readonly looked: readonly string[] };

export interface Settled {
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  readonly bucket: string | undefined;
  readonly forcePathStyle: boolean | undefined;
  readonly caFile: string | undefined;
  readonly proxy: string | undefined;
  readonly noProxy: string | undefined;
  readonly credentials: CredentialPlan;
}

/**
 * `shared` undefined: the files are not looked at. Throws InvalidError for a profile that is named and not there, for one
 * with a line that makes no sense, and for half a pair of keys.
 */
export function settle(said: Said, env: Environment, shared?: SharedConfig): Settled {
  const profile = shared === undefined ? undefined : chosenProfile(said, env, shared);
  const services = shared?.services(profile?.settings.get("services") ?? "");
  const ignoresEndpoints =
    isTrue(env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS) || isTrue(profile?.settings.get("ignore_configured_endpoint_urls"));
  const endpoint =
    said.endpoint ??
    (ignoresEndpoints
      ? undefined
      : first(
          env.AWS_ENDPOINT_URL_S3,
          env.AWS_ENDPOINT_URL,
          services?.get("s3.endpoint_url"),
          profile?.settings.get("endpoint_url"),
        ));
  const region = said.region ?? first(env.AWS_REGION, env.AWS_DEFAULT_REGION, profile?.settings.get("region"));
  const style = profile?.settings.get("s3.addressing_style");
  return {
    endpoint,
    // Servers other than AWS mostly take any.
    region: region ?? (endpoint === undefined ? undefined : "us-east-1"),
    bucket: said.bucket ?? first(env.BUCKETLOCK_BUCKET),
    forcePathStyle: said.forcePathStyle ?? addressing(style),
    caFile: said.dangerouslyDisableTlsVerification
      ? said.caFile
      : (said.caFile ?? first(env.AWS_CA_BUNDLE, profile?.settings.get("ca_bundle"))),
    ...proxyFor(said, endpoint, env),
    credentials: planned(said, env, profile, shared),
  };
}

function chosenProfile(said: Said, env: Environment, shared: SharedConfig): Profile | undefined {
  const option = said.profile === undefined ? "AWS_PROFILE" : "profile";
  const named = said.profile ?? first(env.AWS_PROFILE);
  const found = shared.profile(named ?? "default");
  const places = shared.files.map(({ path }) => path).join(" or ");
  if (found === undefined && named !== undefined)
    throw new InvalidError(option, `must be a profile of ${places}`, named);
  if (found?.badLine !== undefined)
    throw new InvalidError(
      option,
      `must be a profile whose lines are all "name = value" (line ${found.badLine} of ${found.badFile} is not)`,
      found.name,
    );
  return found;
}

function planned(
  said: Said,
  env: Environment,
  profile: Profile | undefined,
  shared: SharedConfig | undefined,
): CredentialPlan {
  if (said.credentials !== undefined) return { from: "options", credentials: said.credentials };
  const looked = ["the options", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"];
  const inProfile = profile === undefined ? undefined : profilePlan(profile, looked);
  // A profile named in the program is as good as keys in the program.
  if (inProfile !== undefined && said.profile !== undefined) return inProfile;
  const inEnvironment = environmentKeys(env);
  if (inEnvironment !== undefined) return { from: "keys", credentials: inEnvironment };
  if (inProfile !== undefined) return inProfile;
  if (shared === undefined) return { from: "nowhere", looked };
  const name = profile?.name ?? "default";
  looked.push(
    ...shared.files.map((file) => `profile ${name} of ${file.path}${file.text === undefined ? " (not there)" : ""}`),
  );
  if (first(env.AWS_WEB_IDENTITY_TOKEN_FILE) && first(env.AWS_ROLE_ARN)) return { from: "web identity" };
  if (first(env.AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, env.AWS_CONTAINER_CREDENTIALS_FULL_URI))
    return { from: "container" };
  if (isTrue(env.AWS_EC2_METADATA_DISABLED)) return { from: "nowhere", looked };
  return { from: "instance", profile: name, looked };
}

/** Roles before keys: the keys of such a profile may only be there to take the role. */
function profilePlan({ name, settings }: Profile, looked: readonly string[]): CredentialPlan | undefined {
  const has = (setting: string) => settings.has(setting);
  if (has("role_arn")) return { from: "profile", profile: name, looked };
  const keys = pair(
    [`aws_access_key_id of profile ${name}`, settings.get("aws_access_key_id")],
    [`aws_secret_access_key of profile ${name}`, settings.get("aws_secret_access_key")],
    settings.get("aws_session_token"),
  );
  if (keys !== undefined) return { from: "keys", credentials: keys };
  const command = settings.get("credential_process");
  if (command !== undefined) return { from: "process", command, profile: name };
  return has("sso_session") || has("sso_start_url") || has("login_session")
    ? { from: "profile", profile: name, looked }
    : undefined;
}

/** AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where set, AWS_SESSION_TOKEN. Throws InvalidError for half a pair. */
export function environmentKeys(env: Environment): S3Credentials | undefined {
  return pair(
    ["AWS_ACCESS_KEY_ID", first(env.AWS_ACCESS_KEY_ID)],
    ["AWS_SECRET_ACCESS_KEY", first(env.AWS_SECRET_ACCESS_KEY)],
    first(env.AWS_SESSION_TOKEN),
  );
}

type Named = readonly [name: string, value: string | undefined];

function pair([idName, id]: Named, [secretName, secret]: Named, token: string | undefined): S3Credentials | undefined {
  if (id === undefined && secret === undefined) return undefined;
  if (id === undefined) throw new InvalidError(idName, `must be set where ${secretName} is`, undefined);
  if (secret === undefined) throw new InvalidError(secretName, `must be set where ${idName} is`, undefined);
  return { accessKeyId: id, secretAccessKey: secret, ...(token === undefined ? {} : { sessionToken: token }) };
}

/** Said in the program, else named by the environment. */
export function proxyFor(
  said: { readonly proxy?: string | undefined; readonly noProxy?: string | undefined },
  endpoint: string | undefined,
  env: Environment,
): { readonly proxy: string | undefined; readonly noProxy: string | undefined } {
  return {
    proxy: said.proxy ?? proxyOf(endpoint, env),
    noProxy: said.noProxy ?? (said.proxy === undefined ? first(env.no_proxy, env.NO_PROXY) : undefined),
  };
}

/** The proxy that the environment names for this endpoint; never one for the host itself (as in Go's net/http). */
function proxyOf(endpoint: string | undefined, env: Environment): string | undefined {
  const url = endpoint === undefined ? undefined : URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (url !== undefined && /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)) return undefined;
  return url?.protocol === "http:" ? first(env.http_proxy, env.HTTP_PROXY) : first(env.https_proxy, env.HTTPS_PROXY);
}

function addressing(style: string | undefined): boolean | undefined {
  if (style === undefined) return undefined;
  const known = oneOf("s3.addressing_style of the profile", style, ["auto", "path", "virtual"]);
  return known === "auto" ? undefined : known === "path";
}

function first(...values: readonly (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== "");
}

function isTrue(value: string | undefined): boolean {
  return value?.toLowerCase() === "true";
}
