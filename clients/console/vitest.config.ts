import { defineConfig } from "vitest/config";

/** Unit tests; those in a browser have a configuration of their own. */
export default defineConfig({ test: { include: ["tests/unit/**/*.test.ts"], environment: "node" } });
