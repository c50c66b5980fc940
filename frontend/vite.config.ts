import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// One classic script and one style sheet: a page opened from a folder (file://) can load neither modules nor parts of them.
export default defineConfig({
  plugins: [react()],
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
  build: {
    outDir: "../src/competency_gaps/explorer/page",
    emptyOutDir: true,
    target: "es2022",
    cssCodeSplit: false,
    lib: { entry: "src/main.tsx", formats: ["iife"], name: "cgaps", fileName: () => "app.js", cssFileName: "app" },
  },
});
