import { defineConfig } from "vitest/config";

// Tests import source through the custom condition: no build is needed to run them.
const conditions = ["@bucketlock/source", "module", "node", "import", "default"];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    root: import.meta.dirname,
    include: ["**/*.test.ts"],
    server: { deps: { inline: [/@bucketlock\//] } },
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
});
