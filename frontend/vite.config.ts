import { readFileSync } from "node:fs";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The font comes in through CSS, where the list of licenses does not see it. */
const fontLicense = {
  name: "font-license",
  generateBundle(this: { emitFile(file: { type: "asset"; fileName: string; source: string }): string }) {
    this.emitFile({
      type: "asset",
      fileName: "font-license.txt",
      source: readFileSync("node_modules/@fontsource-variable/inter/LICENSE", "utf8"),
    });
  },
};

// One classic script and one style sheet: a page opened from a folder (file://) can load no modules.
export default defineConfig({
  plugins: [react(), fontLicense],
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  build: {
    outDir: "../src/competency_gaps/view/page/static",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    license: { fileName: "licenses.txt" },
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "cgaps", fileName: () => "app.js", cssFileName: "app" },
  },
});
