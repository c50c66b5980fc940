import { Anchor, createTheme } from "@mantine/core";

/** Mantine's controls in the page's own type and colours (`theme.css`). */
export const THEME = createTheme({
  fontFamily: "var(--sans)",
  fontFamilyMonospace: "var(--mono)",
  headings: { fontFamily: "var(--sans)", fontWeight: "650" },
  primaryColor: "blue",
  defaultRadius: "md",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: { Anchor: Anchor.extend({ defaultProps: { inherit: true, underline: "always" } }) },
});
