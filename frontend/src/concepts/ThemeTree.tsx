import { Tree, type TreeNodeData, useTree } from "@mantine/core";
import { IconChevronRight } from "@tabler/icons-react";
import { useMemo } from "react";
import { go, useRoute } from "../app/route";
import { type Face, useFace } from "../app/state";
import type { Theme } from "../data/types";
import { integer, magnitude, percent, signed } from "../format";
import { shorten, visible } from "../text";
import type { Scale } from "./bar";
import { IntervalBar } from "./IntervalBar";
import { type Branch, branches, gapReach, themeName } from "./themes";
import type { ShownTable } from "./useConceptTable";

/** Themes with their figures; choosing one (a click, or Enter) selects its concepts in the table. */
export function ThemeTree({ themes, table, benchmark }: ShownTable & { themes: Theme[] }) {
  const face = useFace();
  const { params } = useRoute();
  const all = useMemo(() => branches(themes, table, face, benchmark), [themes, table, face, benchmark]);
  const byValue = useMemo(
    () => new Map(all.flatMap((branch) => [branch, ...branch.children]).map((branch) => [keyOf(branch), branch])),
    [all],
  );
  const chosen = params.has("subtheme")
    ? `subtheme ${params.get("subtheme")}`
    : params.has("theme")
      ? `theme ${params.get("theme")}`
      : null;
  const tree = useTree({ initialExpandedState: { [`theme ${params.get("theme")}`]: true } });
  const data = useMemo(() => {
    const node = (branch: Branch): TreeNodeData => ({
      value: keyOf(branch),
      label: themeName(branch.theme),
      children: branch.children.map(node),
    });
    return all.map(node);
  }, [all]);
  const scale = useMemo<Scale>(() => {
    const most = gapReach(all);
    return { from: -most, to: most, neutral: 0 };
  }, [all]);
  // Chosen once more, a subtheme gives way to its theme, and a theme to all.
  const choose = (value: string | undefined) => {
    const theme = byValue.get(value ?? "")?.theme;
    if (!theme) return;
    const again = value === chosen;
    go({
      params:
        theme.level === "theme"
          ? { theme: again ? null : theme.id, subtheme: null }
          : { theme: theme.parent, subtheme: again ? null : theme.id },
    });
  };
  return (
    // In a narrow window the table comes first.
    <details className="themes" data-testid="theme-tree" open={innerWidth > 900}>
      <summary>
        Themes <span className="soft">{sentence(all, face)}</span>
      </summary>
      <Tree
        className="theme-list"
        aria-label="Themes and subthemes"
        data={data}
        tree={tree}
        levelOffset={14}
        expandOnClick={false}
        onKeyDown={(event) =>
          event.key === "Enter" &&
          choose((event.target as HTMLElement).closest<HTMLElement>("[role=treeitem]")?.dataset.value)
        }
        renderNode={({ node, expanded, hasChildren, elementProps }) => {
          const branch = byValue.get(node.value)!;
          const pressed = node.value === chosen ? "pressed" : "";
          return (
            // biome-ignore lint/a11y/noStaticElementInteractions: the item of the tree around it takes the keys.
            // biome-ignore lint/a11y/useKeyWithClickEvents: as above.
            <div
              {...elementProps}
              className={`theme-row ${branch.theme.level} ${pressed} ${elementProps.className}`}
              title={visible(themeName(branch.theme))}
              onClick={(event) => {
                elementProps.onClick(event);
                choose(node.value);
              }}
            >
              <span
                className="caret"
                data-open={expanded}
                aria-hidden="true"
                onClick={(event) => {
                  event.stopPropagation();
                  tree.toggleExpanded(node.value);
                }}
              >
                {hasChildren && <IconChevronRight size={14} />}
              </span>
              <bdi className="theme-name">{shorten(visible(themeName(branch.theme)), 90)}</bdi>
              {face === "model" ? <Gap branch={branch} scale={scale} /> : <Coverage branch={branch} />}
            </div>
          );
        }}
      />
    </details>
  );
}

const keyOf = ({ theme }: Branch) => `${theme.level} ${theme.id}`;

function sentence(tree: Branch[], face: Face): string {
  if (face === "benchmark") {
    const ranked = tree.filter((branch) => branch.counts.ranked > 0);
    const lacking = ranked.filter((branch) => branch.counts.missing > 0).length;
    return `${integer(lacking)} of ${integer(ranked.length)} with ranked concepts have missing ones`;
  }
  const of = (status: string) => tree.filter((branch) => branch.status === status).length;
  const tested = tree.filter((branch) => branch.tested).length;
  const rest = tested < tree.length ? `; ${integer(tree.length - tested)} could not be tested` : "";
  return `${integer(of("weak"))} weak and ${integer(of("strong"))} strong of ${integer(tested)} tested${rest}`;
}

function Gap({ branch: { counts, gap, low, high, status }, scale }: { branch: Branch; scale: Scale }) {
  return (
    <>
      <IntervalBar scale={scale} at={gap} low={low} high={high} status={status} />
      <span className={`figure ${status}`}>{signed(gap, 3)}</span>
      <span className="counts">
        {counts.ranked === 0
          ? "no ranked concept"
          : `${integer(counts.weak)} weak, ${integer(counts.strong)} strong of ${integer(counts.ranked)} ranked`}
      </span>
    </>
  );
}

function Coverage({ branch: { counts, coverage } }: { branch: Branch }) {
  const share = counts.ranked ? counts.missing / counts.ranked : null;
  return (
    <>
      <span className="share-bar" aria-hidden="true">
        <span style={{ width: `${100 * (share ?? 0)}%` }} />
      </span>
      <span className={`figure ${counts.missing ? "weak" : ""}`}>{percent(share)}</span>
      <span className="counts">
        {counts.ranked === 0
          ? "no ranked concept"
          : `${integer(counts.missing)} missing of ${integer(counts.ranked)} ranked, coverage ${magnitude(coverage)}`}
      </span>
    </>
  );
}
