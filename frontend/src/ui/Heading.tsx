import type { ReactNode } from "react";
import { useBenchmark, useRun } from "../app/state";
import { visible } from "../text";

/** A view's heading, with the selected benchmark. `suite`: shown instead by views that always cover the whole suite. */
export function Heading({ children, within = "in", suite }: { children: ReactNode; within?: string; suite?: string }) {
  const run = useRun();
  const benchmark = useBenchmark();
  if (benchmark === null) return <h1>{children}</h1>;
  return (
    <h1>
      {children}{" "}
      {suite ?? (
        <>
          {within} <bdi>{visible(run.benchmarks[benchmark]!.name)}</bdi>
        </>
      )}
    </h1>
  );
}
