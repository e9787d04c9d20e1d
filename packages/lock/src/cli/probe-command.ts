/**
 * `bucketlock probe`: what a store can do, found out by trying. The experiments and the report are the core's.
 */
import { probe, renderProbe } from "@bucketlock/core";
import type { Context } from "./context.js";
import { EXIT } from "./exit-code.js";
import { withStore } from "./look.js";

export async function probeStore(context: Context, url: string | undefined): Promise<number> {
  const { screen } = context;
  return withStore(
    context,
    async (store, signal) => {
      const stop = screen.spin(() => `probing ${store.name}`);
      const report = await probe(store, { signal }).finally(stop);
      if (screen.isJson) screen.json(report);
      else screen.print(renderProbe(report).trimEnd());
      return report.protocols["two-object"].safe ? EXIT.done : EXIT.store;
    },
    url,
  );
}
