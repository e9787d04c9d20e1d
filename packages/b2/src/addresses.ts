/**
 * Addresses of B2: what a user names, and what B2 itself names in its answers. Pure. It refuses what would leak a token.
 */
import { InvalidError } from "@bucketlock/core";
import { text } from "@bucketlock/core/http";
import { corrupt } from "./b2-errors.js";

/** Where a call goes. */
export interface Address {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Encoded, without a trailing slash. */
  readonly path: string;
}

/** What a user gives. */
export function endpointAddress(option: string, value: unknown): Address {
  const given = text(option, value);
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    // The value is not shown: it may hold a password.
    throw new InvalidError(option, "must be a URL such as https://host:port", "something else");
  }
  if (url.username !== "" || url.password !== "")
    throw new InvalidError(option, "must not hold credentials", "a URL with them");
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new InvalidError(option, "must begin with http:// or https://", url.protocol);
  if (url.search !== "" || url.hash !== "")
    throw new InvalidError(option, "must have no query and no fragment", `${url.origin}${url.pathname}?...`);
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, "") };
}

/**
 * What B2 names. Tokens go there, so a server that was reached over TLS may not lead us away from it. The query stays: an
 * upload URL has one on some pods.
 */
export function namedAddress(what: string, value: string, from: string): Address {
  let url: URL;
  try {
    url = new URL(value);
  } catch {
    throw corrupt(`${what} is no URL`);
  }
  const isSafe = url.protocol === "https:" || (url.protocol === "http:" && from.startsWith("http:"));
  if (!isSafe || url.username !== "") throw corrupt(`${what} is no https URL`);
  return { origin: url.origin, path: `${url.pathname.replace(/\/+$/, "")}${url.search}` };
}
