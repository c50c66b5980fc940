import type { ReactNode } from "react";
import { useBenchmark, useRun } from "../app/state";
import { visible } from "../text";

interface HeadingProps {
  children: ReactNode;
  within?: string;
  /** Text in place of the benchmark, for views that always cover the whole suite. */
  suite?: string;
  /** The benchmark whose numbers are on screen, if it may lag behind the address; null: the whole suite. */
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
