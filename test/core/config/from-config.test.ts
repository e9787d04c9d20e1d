/** Sessions opened as the AWS tools would, from real files, against the emulator; and stores by URL with a profile. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openS3SessionFromConfig, openStore, type S3ConfigOptions, S3Session } from "@bucketlock/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { failure, startEmulator } from "../s3/rig.js";
import { certificateFile, startProxy, startTlsFront } from "./rig.js";

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "bucketlock-home-"));
});
afterEach(() => rmSync(home, { recursive: true }));

/** Writes both files and says where they are. */
function files(config: string, credentials = ""): Record<string, string> {
  writeFileSync(join(home, "config"), config);
  writeFileSync(join(home, "credentials"), credentials);
  return {
    AWS_CONFIG_FILE: join(home, "config"),
    AWS_SHARED_CREDENTIALS_FILE: join(home, "credentials"),
    AWS_EC2_METADATA_DISABLED: "true",
  };
}

const open: S3Session[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((session) => session.close()));
});
function sessionFrom(options: S3ConfigOptions, env: Record<string, string>): S3Session {
  const session = openS3SessionFromConfig({ maxTries: 1, ...options }, env);
  open.push(session);
  return session;
}

describe("openS3SessionFromConfig", () => {
  it("finds everything in a profile", async () => {
    const emulator = await startEmulator();
    const { accessKeyId, secretAccessKey } = emulator.keys;
    const env = files(
      `[profile work]\nregion = ${emulator.region}\nservices = local\n[services local]\ns3 =\n  endpoint_url = ${emulator.endpoint}\n`,
      `[work]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`,
    );
    const session = sessionFrom({ profile: "work", bucket: emulator.bucket }, env);
    expect(await session.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    const other = sessionFrom({}, { ...env, AWS_PROFILE: "work", BUCKETLOCK_BUCKET: emulator.bucket });
    expect(await other.headObject("k")).toMatchObject({ found: true });
  });

  it("looks below the home directory, and expands ~", async () => {
    const { AWS_CONFIG_FILE: _, ...env } = files("");
    writeFileSync(join(home, "mine"), "[default]\nregion = mine-1\n");
    expect(sessionFrom({}, { ...env, HOME: home, AWS_CONFIG_FILE: "~/mine" }).region).toBe("mine-1");
    expect(() => sessionFrom({}, { HOME: home })).toThrowError("AWS_REGION");
  });

  it("runs the program of the profile once for many requests, and again when its keys expire", async () => {
    const emulator = await startEmulator();
    const log = join(home, "log");
    const script = join(home, "keys.mjs");
    writeFileSync(
      script,
      `import { appendFileSync } from "node:fs";
       appendFileSync(${JSON.stringify(log)}, "asked\\n");
       console.log(JSON.stringify({ Version: 1, AccessKeyId: process.argv[2], SecretAccessKey: process.argv[3],
         Expiration: process.argv[4] }));`,
    );
    const { accessKeyId, secretAccessKey } = emulator.keys;
    const command = (expires: string) =>
      `credential_process = "${process.execPath}" "${script}" ${accessKeyId} "${secretAccessKey}" ${expires}`;
    const asked = async (expires: string) => {
      writeFileSync(log, "");
      const env = files(`[default]\n${command(expires)}\nendpoint_url = ${emulator.endpoint}`);
      const session = sessionFrom({ bucket: emulator.bucket }, env);
      for (const key of ["a", "b", "c"]) await session.headObject(key);
      await Promise.all(["d", "e", "f"].map((key) => session.headObject(key)));
      const { readFileSync } = await import("node:fs");
      return readFileSync(log, "utf8").split("\n").length - 1;
    };
    expect(await asked("2099-01-01T00:00:00Z")).toBe(1);
    // Expired when it comes: asked for each of the three, and once for those together.
    expect(await asked("2020-01-01T00:00:00Z")).toBe(4);
  });

  it("says where it looked when there are no keys, at the first request", async () => {
    const emulator = await startEmulator();
    const env = files("[default]\nregion = us-east-1", "");
    const session = sessionFrom({ endpoint: emulator.endpoint, bucket: emulator.bucket }, env);
    const error = await failure(session.headObject("k"), emulator);
    expect(error).toMatchObject({ code: "STORE_NO_CREDENTIALS", kind: "denied" });
    expect(error.message).toContain(`profile default of ${join(home, "credentials")}`);
    expect(emulator.seen).toEqual([]);
  });

  it("goes through the proxy and the authority that the environment names", async () => {
    const proxy = await startProxy();
    const emulator = await startEmulator();
    // Not by a loopback address, which is never asked through a proxy of the environment.
    const { port } = new URL(await startTlsFront(emulator.endpoint));
    const keys = { AWS_ACCESS_KEY_ID: emulator.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: emulator.keys.secretAccessKey };
    const env = {
      ...files(""),
      ...keys,
      AWS_ENDPOINT_URL: `https://localhost:${port}`,
      AWS_CA_BUNDLE: certificateFile("ca"),
      HTTPS_PROXY: proxy.url,
    };
    const direct = sessionFrom({ bucket: emulator.bucket }, env);
    expect(await direct.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    expect(proxy.asked).toEqual([]);
    const through = sessionFrom({ bucket: emulator.bucket, proxy: proxy.url }, env);
    expect(await through.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    expect(proxy.asked).toEqual([`CONNECT localhost:${port}`]);
    // It refuses, so that nothing goes further than this machine.
    const refusing = await startProxy(502);
    const away = { ...env, AWS_ENDPOINT_URL: "https://elsewhere.test", HTTPS_PROXY: refusing.url };
    const error = await failure(sessionFrom({ bucket: emulator.bucket }, away).headObject("k"), emulator);
    expect(refusing.asked).toEqual(["CONNECT elsewhere.test:443"]);
    expect(error).toMatchObject({ code: "STORE_UNREACHABLE" });
  });
});

describe("S3Session.fromEnv", () => {
  it("never looks into the files", async () => {
    const emulator = await startEmulator();
    const env = files(
      "[default]\nregion = r-1\nendpoint_url = http://wrong.test",
      "[default]\naws_access_key_id = WRONG",
    );
    const { accessKeyId, secretAccessKey } = emulator.keys;
    const from = { ...env, AWS_ENDPOINT_URL: emulator.endpoint, BUCKETLOCK_BUCKET: emulator.bucket };
    const session = S3Session.fromEnv(
      {},
      { ...from, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    );
    open.push(session);
    expect(await session.putObject("k", "1")).toMatchObject({ outcome: "stored" });
    expect(() => S3Session.fromEnv({}, from)).toThrowError("AWS_ACCESS_KEY_ID: must be set in the environment");
  });
});

describe("openStore", () => {
  const saved: Record<string, string | undefined> = {};
  function setEnv(env: Record<string, string>): void {
    for (const [name, value] of Object.entries(env)) {
      saved[name] = process.env[name];
      process.env[name] = value;
    }
  }
  afterEach(() => {
    for (const [name, value] of Object.entries(saved)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
      delete saved[name];
    }
  });

  it("finds a profile by AWS_PROFILE and by the URL, and refuses one that is not there", async () => {
    const emulator = await startEmulator();
    const { accessKeyId, secretAccessKey } = emulator.keys;
    const keys = `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`;
    setEnv(files(`[profile work]\nendpoint_url = ${emulator.endpoint}\n${keys}`));
    const url = `s3://${emulator.bucket}/locks`;
    const byUrl = openStore(`${url}?profile=work`);
    expect(await byUrl.put("k", "1")).toMatchObject({ outcome: "stored" });
    await byUrl.close();
    setEnv({ AWS_PROFILE: "work" });
    const byVariable = openStore(url);
    expect(await byVariable.head("k")).toMatchObject({ found: true });
    await byVariable.close();
    expect(() => openStore(`${url}?profile=play`)).toThrowError("must be a profile of");
  });
});
