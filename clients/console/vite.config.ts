import { defineConfig } from "vite";
import { notices } from "./tools/notices.mjs";

/** The page is served at `/admin`, its assets below `/admin/console/`, so relative to the page they are in `admin/console/`. */
const ASSETS = "admin/console";

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [notices(`${ASSETS}/notices.txt`)],
  build: {
    target: "es2023",
    assetsDir: ASSETS,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    reportCompressedSize: true,
  },
  server: {
    proxy: { "^/admin/": { target: process.env["TORALE_API_URL"] ?? "http://127.0.0.1:9000", changeOrigin: true } },
  },
});
