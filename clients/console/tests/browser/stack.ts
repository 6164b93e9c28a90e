/**
 * The local stack for the tests: the same binaries as `cargo dev`, with a history of their own. With
 * CONSOLE_URL and CONSOLE_KEY they use one that runs already.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../../../..");
const KEY = "sk_console_0123456789_0123456789";
const START_MS = 100_000;

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    key: string;
    /** Private key (PEM) of the Clerk instance that the stack accepts; null for a stack that ran already. */
    clerkKey: string | null;
  }
}

/** The host of a Clerk instance that does not exist: the tests answer for it. */
export const CLERK_HOST = "clerk.console.test";

/** A session token of the local stack's administrator, as Clerk signs them, that is valid for so many seconds. */
export function sessionToken(privateKey: string, origin: string, seconds = 60): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: `https://${CLERK_HOST}`, sub: "user_local_admin", azp: origin, sid: "sess_1", iat: now, nbf: now - 1, exp: now + seconds };
  const signed = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), privateKey).toString("base64url")}`;
}

/** A port that nobody listens on. */
function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (address !== null && typeof address === "object" ? found(address.port) : failed(new Error("no port"))));
    });
  });
}

async function start(): Promise<{ url: string; clerkKey: string; process: ChildProcess }> {
  const [http, sqs, dynamodb] = [await freePort(), await freePort(), await freePort()];
  const program = join(resolve(ROOT, process.env["CARGO_TARGET_DIR"] ?? "target"), "debug/torale-local");
  const ports = ["--http-port", http, "--sqs-port", sqs, "--dynamodb-port", dynamodb].map(String);
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
  const url = `http://127.0.0.1:${http}`;
  const clerk = {
    CLERK_PUBLISHABLE_KEY: `pk_test_${Buffer.from(`${CLERK_HOST}$`).toString("base64")}`,
    CLERK_ISSUER: `https://${CLERK_HOST}`,
    CLERK_JWT_KEY: publicKey,
    CLERK_AUTHORIZED_PARTIES: url,
  };
  const stack = spawn(program, ["--built", "--admin-key", KEY, "--executions", "600", "--days", "30", ...ports], {
    cwd: ROOT,
    env: { ...process.env, ...clerk, RATE_LIMIT_PER_MINUTE: "1000000", RATE_LIMIT_PER_HOUR: "1000000" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  const started = new Promise<void>((ready, failed) => {
    const timer = setTimeout(() => failed(new Error(`the stack did not start in time:\n${log.slice(-4000)}`)), START_MS);
    const read = (chunk: Buffer) => {
      log += chunk.toString();
      if (!log.includes("Try it:")) return;
      clearTimeout(timer);
      ready();
    };
    stack.stdout.on("data", read);
    stack.stderr.on("data", read);
    stack.once("error", failed);
    stack.once("exit", (code) => failed(new Error(`the stack ended with ${code}:\n${log.slice(-4000)}`)));
  });
  await started.catch((reason: unknown) => {
    stack.kill("SIGTERM");
    throw reason;
  });
  return { url, clerkKey: privateKey, process: stack };
}

export default async function setup(project: TestProject) {
  const running = process.env["CONSOLE_URL"];
  if (running) {
    project.provide("url", running);
    project.provide("key", process.env["CONSOLE_KEY"] ?? KEY);
    project.provide("clerkKey", null);
    return undefined;
  }
  const stack = await start();
  project.provide("url", stack.url);
  project.provide("key", KEY);
  project.provide("clerkKey", stack.clerkKey);
  return async () => {
    stack.process.kill("SIGTERM");
    await new Promise((ended) => stack.process.once("exit", ended));
  };
}
