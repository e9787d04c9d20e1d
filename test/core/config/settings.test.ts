/** Which place wins: every setting, every pair of places that can say it; and what is asked for keys, in which order. */
import { describe, expect, it } from "vitest";
import { type CredentialPlan, type Environment, type Said, settle } from "../../../packages/core/src/s3-settings.js";
import { SharedConfig } from "../../../packages/core/src/shared-config.js";

interface Places {
  readonly said?: Said;
  readonly env?: Environment;
  /** Lines of the profile `default`. */
  readonly profile?: readonly string[];
  /** Lines of the credentials file's `default`. */
  readonly credentials?: readonly string[];
  readonly services?: readonly string[];
}

function sharedOf({ profile, credentials, services }: Places): SharedConfig {
  const section = (heading: string, lines: readonly string[] | undefined) =>
    lines === undefined ? "" : `[${heading}]\n${lines.join("\n")}\n`;
  return new SharedConfig(
    { path: "config", text: section("default", profile) + section("services s", services) },
    { path: "credentials", text: section("default", credentials) },
  );
}

function settled(...places: readonly Places[]) {
  const all = places.reduce<Places>(
    (sum, place) => ({
      said: { ...sum.said, ...place.said },
      env: { ...sum.env, ...place.env },
      profile: [...(sum.profile ?? []), ...(place.profile ?? [])],
      credentials: [...(sum.credentials ?? []), ...(place.credentials ?? [])],
      services: [...(sum.services ?? []), ...(place.services ?? [])],
    }),
    {},
  );
  return settle(all.said ?? {}, all.env ?? {}, sharedOf(all));
}

/** Highest first. */
const ranks: Readonly<Record<string, readonly (readonly [value: string, place: Places])[]>> = {
  endpoint: [
    ["http://option", { said: { endpoint: "http://option" } }],
    ["http://env-s3", { env: { AWS_ENDPOINT_URL_S3: "http://env-s3" } }],
    ["http://env", { env: { AWS_ENDPOINT_URL: "http://env" } }],
    ["http://services", { profile: ["services = s"], services: ["s3 =", "  endpoint_url = http://services"] }],
    ["http://profile", { profile: ["endpoint_url = http://profile"] }],
  ],
  region: [
    ["option-1", { said: { region: "option-1" } }],
    ["env-1", { env: { AWS_REGION: "env-1" } }],
    ["default-1", { env: { AWS_DEFAULT_REGION: "default-1" } }],
    ["credentials-1", { credentials: ["region = credentials-1"] }],
    ["profile-1", { profile: ["region = profile-1"] }],
    ["us-east-1", { said: { endpoint: "http://somewhere" } }],
  ],
  bucket: [
    ["option", { said: { bucket: "option" } }],
    ["env", { env: { BUCKETLOCK_BUCKET: "env" } }],
  ],
  caFile: [
    ["option.pem", { said: { caFile: "option.pem" } }],
    ["env.pem", { env: { AWS_CA_BUNDLE: "env.pem" } }],
    ["profile.pem", { profile: ["ca_bundle = profile.pem"] }],
  ],
  proxy: [
    ["http://option", { said: { proxy: "http://option" } }],
    ["http://lower", { env: { https_proxy: "http://lower" } }],
    ["http://upper", { env: { HTTPS_PROXY: "http://upper" } }],
  ],
  noProxy: [
    ["option", { said: { noProxy: "option" } }],
    ["lower", { env: { no_proxy: "lower" } }],
    ["upper", { env: { NO_PROXY: "upper" } }],
  ],
};

const keys = (id: string) => ({ accessKeyId: id, secretAccessKey: `${id}-secret` });
const keyLines = (id: string) => [`aws_access_key_id = ${id}`, `aws_secret_access_key = ${id}-secret`];
const keyEnv = (id: string) => ({ AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: `${id}-secret` });

/** What the plan is, shortly. */
function shortly(plan: CredentialPlan): string {
  if (!("credentials" in plan)) return plan.from;
  return typeof plan.credentials === "function" ? "function" : plan.credentials.accessKeyId;
}

/** Highest first. */
const credentialRanks: readonly (readonly [value: string, place: Places])[] = [
  ["OPTION", { said: { credentials: keys("OPTION") } }],
  ["ENV", { env: keyEnv("ENV") }],
  ["profile", { profile: ["role_arn = arn:aws:iam::1:role/r"] }],
  ["CREDENTIALS", { credentials: keyLines("CREDENTIALS") }],
  ["CONFIG", { profile: keyLines("CONFIG") }],
  ["process", { profile: ["credential_process = a-program"] }],
  ["profile", { profile: ["sso_session = s"] }],
  ["web identity", { env: { AWS_WEB_IDENTITY_TOKEN_FILE: "f", AWS_ROLE_ARN: "arn" } }],
  ["container", { env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://127.0.0.1/" } }],
  ["nowhere", { env: { AWS_EC2_METADATA_DISABLED: "true" } }],
  ["instance", {}],
];

function pairs<T>(ranked: readonly T[]): [T, T][] {
  return ranked.flatMap((high, at) => ranked.slice(at + 1).map((low): [T, T] => [high, low]));
}

describe.each(Object.entries(ranks))("%s", (setting, ranked) => {
  const read = (...places: readonly Places[]) => settled(...places)[setting as "region"];

  it.each(ranked)("is taken from the only place that says it: %s", (value, place) => {
    expect(read(place)).toBe(value);
  });

  it.each(pairs(ranked).map(([[high, a], [low, b]]) => [high, low, a, b] as const))(
    "%s wins over %s",
    (value, _, a, b) => {
      expect(read(a, b)).toBe(value);
      expect(read(b, a)).toBe(value);
    },
  );
});

describe("credentials", () => {
  it.each(credentialRanks)("are taken from the only place that has them: %s", (value, place) => {
    expect(shortly(settled(place).credentials)).toBe(value);
  });

  it.each(pairs(credentialRanks).map(([[high, a], [low, b]]) => [high, low, a, b] as const))(
    "%s win over %s",
    (value, _, a, b) => {
      expect(shortly(settled(a, b).credentials)).toBe(value);
      expect(shortly(settled(b, a).credentials)).toBe(value);
    },
  );

  it("of a profile named in the options win over the environment, of one named in the environment do not", () => {
    const shared = new SharedConfig(
      { path: "config", text: "" },
      { path: "credentials", text: `[work]\n${keyLines("WORK").join("\n")}` },
    );
    expect(shortly(settle({ profile: "work" }, keyEnv("ENV"), shared).credentials)).toBe("WORK");
    expect(shortly(settle({}, { AWS_PROFILE: "work", ...keyEnv("ENV") }, shared).credentials)).toBe("ENV");
    expect(shortly(settle({}, { AWS_PROFILE: "work" }, shared).credentials)).toBe("WORK");
    // All else of it ranks as a profile's.
    const region = (said: Said, env: Environment) =>
      settle(
        said,
        env,
        new SharedConfig({ path: "config", text: "[profile work]\nregion = work-1" }, shared.files[1]!),
      );
    expect(region({ profile: "work" }, { AWS_REGION: "env-1" }).region).toBe("env-1");
    expect(region({ profile: "work" }, {}).region).toBe("work-1");
  });

  it("carry a session token from both places", () => {
    const token = (place: Places) => {
      const { credentials } = settled(place).credentials as { credentials: { sessionToken?: string } };
      return credentials.sessionToken;
    };
    expect(token({ env: { ...keyEnv("A"), AWS_SESSION_TOKEN: "t1" } })).toBe("t1");
    expect(token({ profile: [...keyLines("A"), "aws_session_token = t2"] })).toBe("t2");
    expect(token({ profile: keyLines("A"), env: { AWS_SESSION_TOKEN: "stray" } })).toBeUndefined();
  });

  it("are refused when half of a pair is missing, by name and without the other half", () => {
    for (const [place, name] of [
      [{ env: { AWS_ACCESS_KEY_ID: "hunter2" } }, "AWS_SECRET_ACCESS_KEY"],
      [{ env: { AWS_SECRET_ACCESS_KEY: "hunter2" } }, "AWS_ACCESS_KEY_ID"],
      [{ profile: ["aws_secret_access_key = hunter2"] }, "aws_access_key_id of profile default"],
      [{ credentials: ["aws_access_key_id = hunter2"] }, "aws_secret_access_key of profile default"],
    ] as const) {
      expect(() => settled(place)).toThrowError(expect.objectContaining({ code: "INVALID_OPTION" }));
      expect(() => settled(place)).toThrowError(name);
      expect(() => settled(place)).not.toThrowError(/hunter2/);
    }
  });

  it("that are nowhere are said to be sought where they were", () => {
    const { credentials } = settled({ env: { AWS_EC2_METADATA_DISABLED: "TRUE" } });
    expect(credentials).toEqual({
      from: "nowhere",
      looked: [
        "the options",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "profile default of config",
        "profile default of credentials",
      ],
    });
  });
});

describe("the rest", () => {
  it("an empty variable says nothing", () => {
    const nothing = { AWS_REGION: "", AWS_ENDPOINT_URL: "", AWS_ACCESS_KEY_ID: "", AWS_PROFILE: "", HTTPS_PROXY: "" };
    expect(settled({ env: nothing, profile: ["region = r-1", ...keyLines("A")] })).toMatchObject({
      region: "r-1",
      endpoint: undefined,
      proxy: undefined,
      credentials: { from: "keys" },
    });
  });

  it("configured endpoints are ignored when told so, the option's never", () => {
    const places: Places = { env: { AWS_ENDPOINT_URL: "http://env" }, profile: ["endpoint_url = http://profile"] };
    const ignoring = { env: { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true" } };
    expect(settled(places, ignoring).endpoint).toBeUndefined();
    expect(settled(places, { profile: ["ignore_configured_endpoint_urls = true"] }).endpoint).toBeUndefined();
    expect(settled(places, ignoring, { said: { endpoint: "http://option" } }).endpoint).toBe("http://option");
    expect(settled(places, { env: { AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "false" } }).endpoint).toBe("http://env");
  });

  it("the proxy of the environment is by scheme and never for the host itself", () => {
    const env = { HTTP_PROXY: "http://plain", HTTPS_PROXY: "http://tls" };
    const proxyTo = (endpoint: string | undefined, said: Said = {}) =>
      settled({ env, said: { ...said, endpoint } }).proxy;
    expect(proxyTo("http://minio.test:9000")).toBe("http://plain");
    expect(proxyTo("https://minio.test")).toBe("http://tls");
    expect(proxyTo(undefined)).toBe("http://tls");
    for (const host of ["localhost:9000", "127.0.0.1:9000", "127.9.9.9", "[::1]:1"]) {
      expect(proxyTo(`http://${host}`)).toBeUndefined();
      expect(proxyTo(`http://${host}`, { proxy: "http://said" })).toBe("http://said");
    }
    // NO_PROXY is about the environment's proxy, not about one that the program names.
    expect(settled({ env: { NO_PROXY: "x" }, said: { proxy: "http://said" } }).noProxy).toBeUndefined();
  });

  it("the addressing style of the profile is the path style, where the option says nothing", () => {
    const style = (value: string, said: Said = {}) =>
      settled({ said, profile: ["s3 =", `  addressing_style = ${value}`] }).forcePathStyle;
    expect(style("path")).toBe(true);
    expect(style("virtual")).toBe(false);
    expect(style("auto")).toBeUndefined();
    expect(style("path", { forcePathStyle: false })).toBe(false);
    expect(() => style("vritual")).toThrowError("auto, path, virtual");
  });

  it("a profile that is named must be there; the default need not", () => {
    expect(() => settled({ said: { profile: "gone" } })).toThrowError(
      'profile: must be a profile of config or credentials; got "gone"',
    );
    expect(() => settled({ env: { AWS_PROFILE: "gone" } })).toThrowError("AWS_PROFILE: must be a profile");
    expect(settled({}).region).toBeUndefined();
  });

  it("a line that makes no sense is named by number, only to who uses its profile, and never shown", () => {
    const text = `[default]\nregion = r-1\naws_secret_access_key hunter2\n[profile fine]\nregion = f-1`;
    const shared = new SharedConfig({ path: "config", text }, { path: "credentials", text: undefined });
    expect(() => settle({}, {}, shared)).toThrowError("line 3 of config");
    expect(() => settle({}, {}, shared)).not.toThrowError(/hunter2/);
    expect(settle({ profile: "fine" }, {}, shared).region).toBe("f-1");
  });
});
