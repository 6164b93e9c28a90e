import { defineConfig } from "vitest/config";

/** Tests in Chromium against the local stack, one after the other; with PICTURES=1 they take screenshots. */
export default defineConfig({
  test: {
    include: [process.env["PICTURES"] ? "tests/pictures/**/*.test.ts" : "tests/browser/**/*.test.ts"],
    environment: "node",
    globalSetup: ["tests/browser/stack.ts"],
    fileParallelism: false,
    // A test that lets a quarter of an hour pass, in steps with an answer each, takes 40 s on a busy machine.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // On a busy machine a browser may miss a moment; what fails twice is a fault.
    retry: 1,
    expect: { poll: { timeout: 15_000 } },
  },
});
