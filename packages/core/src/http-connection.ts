/**
 * How a session reaches its server: whose certificates it trusts and through which proxy it goes. Checks the options and
 * reads the file of certificates once, when the session is opened; never shows a proxy's password, never connects.
 */
import { nodeCrypto, nodeFs } from "./builtin.js";
import { InvalidError } from "./errors.js";
import { text } from "./options.js";
import type { ProxySettings, TlsSettings } from "./request.js";

export interface ConnectionOptions {
  /** PEM file of the certificates to trust instead of Node's own roots (NODE_EXTRA_CA_CERTS adds to those). Read once. */
  readonly caFile?: string | undefined;
  /**
   * True: whoever answers is believed to be the server, so anyone between may read and change everything, keys of objects
   * and their contents. For a throw-away test server only. Default false.
   */
  readonly dangerouslyDisableTlsVerification?: boolean | undefined;
  /** Such as `http://name:password@proxy:3128`. An https endpoint is tunnelled (CONNECT), a plain one asked of the proxy. */
  readonly proxy?: string | undefined;
  /** Hosts reached without the proxy: names (their subdomains too), `host:port`, or `*`; between commas. */
  readonly noProxy?: string | undefined;
}

export interface ConnectionSettings {
  readonly tls: TlsSettings | undefined;
  readonly proxy: ProxySettings | undefined;
}

/** Throws InvalidError naming the option. */
export function connectionSettings(options: ConnectionOptions): ConnectionSettings {
  const { caFile, dangerouslyDisableTlsVerification: believeAnyone = false, proxy, noProxy = "" } = options;
  if (typeof believeAnyone !== "boolean")
    throw new InvalidError("dangerouslyDisableTlsVerification", "must be true or false", believeAnyone);
  if (believeAnyone && caFile !== undefined)
    throw new InvalidError("caFile", "makes no sense together with dangerouslyDisableTlsVerification", caFile);
  if (typeof noProxy !== "string") throw new InvalidError("noProxy", "must be a string", noProxy);
  const tls = believeAnyone ? { rejectUnauthorized: false } : caFile === undefined ? undefined : { ca: pem(caFile) };
  return { tls, proxy: proxy === undefined ? undefined : { url: proxyUrl(proxy), except: noProxy } };
}

function pem(path: string): string {
  let found: string;
  try {
    found = nodeFs().readFileSync(text("caFile", path), "utf8");
    // Of several certificates it reads the first; without one it throws.
    new (nodeCrypto().X509Certificate)(found);
  } catch (cause) {
    throw new InvalidError(
      "caFile",
      "must be a readable PEM file of certificates (also where AWS_CA_BUNDLE or the profile names it)",
      path,
      { cause },
    );
  }
  return found;
}

/** The value is never shown: it may hold a password. */
function proxyUrl(value: unknown): string {
  const given = text("proxy", value);
  // As in curl: a host and port alone is an HTTP proxy.
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(given) ? given : `http://${given}`;
  const url = URL.canParse(whole) ? new URL(whole) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new InvalidError(
      "proxy",
      "must be a URL such as http://host:port (also where HTTPS_PROXY or HTTP_PROXY says it)",
      "something else",
    );
  return url.href;
}
