import type { ReactNode } from "react";
import { useBenchmark, useRun } from "../app/state";
import { visible } from "../text";

interface HeadingProps {
  children: ReactNode;
  within?: string;
  /** Shown in its place by views that always cover the whole suite. */
  suite?: string;
  /** Whose numbers stand below, where these come later than the address; null: the whole suite's. */
  shown?: number | null;
}

/** A view's heading, with the selected benchmark. */
export function Heading({ children, within = "in", suite, shown }: HeadingProps) {
  const run = useRun();
  const asked = useBenchmark();
  const benchmark = shown === undefined ? asked : shown;
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
