import { Anchor, createTheme, MantineProvider } from "@mantine/core";
import { readRuns, useRunInfo, useRuns } from "../data/hooks";
import { Failed, Loading } from "../ui/State";
import { useRoute } from "./route";
import { Shell } from "./Shell";
import { RunContext } from "./state";

/** Mantine's controls in the page's own type and colours (`theme.css`). */
const THEME = createTheme({
  fontFamily: "var(--sans)",
  fontFamilyMonospace: "var(--mono)",
  headings: { fontFamily: "var(--sans)", fontWeight: "650" },
  primaryColor: "blue",
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: { Anchor: Anchor.extend({ defaultProps: { inherit: true, underline: "always" } }) },
});

export function App() {
  return (
    <MantineProvider theme={THEME} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <Runs />
    </MantineProvider>
  );
}

// Start loading before React renders.
void readRuns().catch(() => undefined);

function Runs() {
  const runs = useRuns();
  const route = useRoute();
  const wanted = runs.data ? (runs.data.runs.find((run) => run.key === route.run) ?? runs.data.runs[0] ?? null) : null;
  const info = useRunInfo(wanted?.key ?? null);
  const error = runs.error ?? info.error;
  if (error) return <Failed error={error} />;
  if (runs.data && !wanted) return <Failed error={new Error("There is no run here.")} />;
  if (!runs.data || !info.data) return <Loading name="the run" />;
  return (
    <RunContext value={{ run: info.data, runs: runs.data }}>
      <Shell unknown={route.run !== "" && route.run !== info.data.key ? route.run : null} />
    </RunContext>
  );
}
