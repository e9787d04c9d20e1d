/**
 * Where a bucket is: host, path and style. Pure. It never connects, and refuses addresses that would leak credentials or
 * be rewritten on the way.
 */
import { InvalidError } from "./errors.js";
import { flag, text } from "./options.js";
import { encodePath } from "./uri.js";

export interface S3EndpointSettings {
  /** Such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:9000`. Default: AWS in `region`. */
  readonly endpoint?: string | undefined;
  readonly region: string;
  /** Absent: the server itself, for what is about no bucket. */
  readonly bucket?: string | undefined;
  /** `host/bucket/key` instead of `bucket.host/key`. Default: true for every endpoint but AWS. */
  readonly forcePathStyle?: boolean | undefined;
}

/** Which bucket a call is about. */
export interface InBucket {
  /** Default: the session's own. Where neither names one, InvalidError. */
  readonly bucket?: string | undefined;
}

export class S3Endpoint {
  readonly region: string;
  readonly bucket: string | undefined;
  /** Amazon's own, which alone looks at where a bucket is to be made. */
  readonly isAws: boolean;
  /** Scheme, host and port, for the connection. */
  readonly origin: string;
  /** As in the Host header and in the signature. */
  readonly host: string;
  readonly #settings: S3EndpointSettings;
  readonly #base: string;
  #other: S3Endpoint | undefined;
  #elsewhere: S3Endpoint | undefined;

  constructor(settings: S3EndpointSettings) {
    this.#settings = settings;
    this.region = regionName(settings.region);
    this.bucket = settings.bucket === undefined ? undefined : bucketName(settings.bucket);
    const url = endpointUrl(settings.endpoint ?? awsEndpoint(this.region));
    this.isAws = /(?:^|\.)amazonaws\.com(?:\.cn)?$/.test(url.hostname);
    // A dot in the bucket would not match the wildcard certificate of the virtual host.
    const fits = this.bucket === undefined || /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(this.bucket);
    const pathStyle = flag("forcePathStyle", settings.forcePathStyle ?? (!this.isAws || !fits));
    if (!pathStyle && !fits)
      throw new InvalidError("bucket", "must be of a-z, 0-9 and - to be part of a host name", this.bucket);
    const base = url.pathname.replace(/\/+$/, "");
    this.host = pathStyle || this.bucket === undefined ? url.host : `${this.bucket}.${url.host}`;
    this.origin = `${url.protocol}//${this.host}`;
    this.#base = pathStyle && this.bucket !== undefined ? `${base}/${this.bucket}` : base;
  }

  /** Another bucket of the same server; without a name, this one. Throws InvalidError when neither names one. */
  of(bucket: string | undefined): S3Endpoint {
    if (bucket === undefined) {
      if (this.bucket === undefined)
        throw new InvalidError("bucket", "must be given, in the call or for the session", undefined);
      return this;
    }
    return bucket === this.bucket ? this : this.#at(bucket);
  }

  /** The server, where no bucket is meant. */
  service(): S3Endpoint {
    return this.bucket === undefined ? this : this.#at(undefined);
  }

  /** The same bucket in another region: signed for it and, at AWS, asked of its servers. */
  inRegion(region: string): S3Endpoint {
    if (region === this.region) return this;
    if (this.#elsewhere?.region !== region) {
      const { endpoint } = this.#settings;
      const there = endpoint !== undefined && this.isAws ? regionalEndpoint(endpoint, this.region, region) : endpoint;
      this.#elsewhere = new S3Endpoint({ ...this.#settings, endpoint: there, region });
    }
    return this.#elsewhere;
  }

  /** The encoded path of an object, or of the bucket itself, or of the server. */
  path(key?: string): string {
    if (key === undefined) return this.#base === "" ? "/" : this.#base;
    return `${this.#base}/${encodePath(key)}`;
  }

  /** The last one is kept: calls on one other bucket come in rows. */
  #at(bucket: string | undefined): S3Endpoint {
    if (this.#other === undefined || this.#other.bucket !== bucket)
      this.#other = new S3Endpoint({ ...this.#settings, bucket });
    return this.#other;
  }
}

/** Undefined: AWS's own name for the region. Dual-stack and FIPS names keep their form. */
function regionalEndpoint(endpoint: string, from: string, to: string): string | undefined {
  return endpoint.includes(`.${from}.`) ? endpoint.replace(`.${from}.`, `.${to}.`) : undefined;
}

function endpointUrl(value: unknown): URL {
  const given = text("endpoint", value);
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    // The value is not shown: it may hold a password.
    throw new InvalidError("endpoint", "must be a URL such as https://host:port", "something else");
  }
  if (url.username !== "" || url.password !== "")
    throw new InvalidError("endpoint", "must not hold credentials (pass them as `credentials`)", "a URL with them");
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidError("endpoint", "must begin with http:// or https://", url.protocol);
  if (url.search !== "" || url.hash !== "")
    throw new InvalidError("endpoint", "must have no query and no fragment", `${url.origin}${url.pathname}?...`);
  return url;
}

function regionName(value: unknown): string {
  const region = text("region", value);
  if (!/^[A-Za-z0-9-]{1,64}$/.test(region))
    throw new InvalidError("region", "must be of letters, digits and -, such as us-east-1", region);
  return region;
}

/** S3 "bucket naming rules"; older buckets and other servers allow capitals, `_` and up to 255 characters. */
function bucketName(value: unknown): string {
  const bucket = text("bucket", value);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/.test(bucket) || bucket.includes(".."))
    throw new InvalidError("bucket", "must be 3 to 255 letters, digits, '.', '-' or '_'", bucket);
  return bucket;
}

/** AWS in China is a partition of its own ("Amazon S3 endpoints and quotas", AWS general reference). */
function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
}
