import { defineConfig, type Plugin } from "vite";
import { notices } from "./tools/notices.mjs";

/** The page is served at `/admin`, its assets below `/admin/console/`, so relative to the page they are in `admin/console/`. */
const ASSETS = "admin/console";

/**
 * Puts `src/early.ts` into the page, before everything else. It is a file of its own, which does not wait
 * for the large script.
 */
const early = (): Plugin => ({
  name: "early",
  transformIndexHtml: {
    order: "post",
    handler(_, { bundle = {} }) {
      const [chunk] = Object.values(bundle).filter((file) => file.type === "chunk" && file.isEntry && file.name === "early");
      if (chunk === undefined) return [];
      return [{ tag: "script", attrs: { type: "module", async: true, crossorigin: true, src: `./${chunk.fileName}` }, injectTo: "head-prepend" }];
    },
  },
});

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [early(), notices(`${ASSETS}/notices.txt`)],
  build: {
    target: "es2023",
    assetsDir: ASSETS,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false, resolveDependencies: () => [] },
    cssCodeSplit: false,
    rolldownOptions: { input: { index: "index.html", early: "src/early.ts" } },
  },
  server: {
    proxy: { "^/admin/": { target: process.env["TORALE_API_URL"] ?? "http://127.0.0.1:9000", changeOrigin: true } },
  },
});
