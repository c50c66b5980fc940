import { IconChevronRight } from "@tabler/icons-react";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState } from "react";
import { go, useRoute } from "../app/route";
import { type Face, useFace, useNumberParam } from "../app/state";
import type { ThemeFile } from "../data/types";
import { integer, magnitude, percent, plural, signed } from "../format";
import { shorten, visible } from "../text";
import { endDigits, type Scale } from "./bar";
import { ofAll } from "./columns";
import { IntervalBar } from "./IntervalBar";
import { type Branch, branches, gapReach, themeName } from "./themes";
import { stepOf } from "./treeKeys";
import type { ShownTable } from "./useConceptTable";

/** Themes with their figures; choosing one selects its concepts in the table. One Tab stop, with arrow keys inside. */
export function ThemeTree({ file, table, benchmark }: ShownTable & { file: ThemeFile }) {
  const face = useFace();
  // In a narrow window the table comes first.
  const [shown, setShown] = useState(() => innerWidth > 900);
  const tree = useMemo(() => branches(file, table, face, benchmark), [file, table, face, benchmark]);
  const chosen = useNumberParam("theme");
  const [opened, setOpened] = useState<ReadonlySet<number>>(() => new Set(chosen === null ? [] : [chosen]));
  const toggle = (id: number) =>
    setOpened((before) => {
      const after = new Set(before);
      if (!after.delete(id)) after.add(id);
      return after;
    });
  return (
    <section className="themes" aria-label="Themes" data-testid="theme-tree">
      <h2>
        <button type="button" className="caret-button" aria-expanded={shown} onClick={() => setShown(!shown)}>
          <IconChevronRight size={16} aria-hidden="true" /> Themes
        </button>
        <span className="soft">{sentence(tree, face)}</span>
      </h2>
      {shown && <Tree tree={tree} face={face} opened={opened} toggle={toggle} />}
    </section>
  );
}

function Tree({
  tree,
  face,
  opened,
  toggle,
}: {
  tree: Branch[];
  face: Face;
  opened: ReadonlySet<number>;
  toggle: (id: number) => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const rows = useMemo(
    () => tree.flatMap((branch) => [branch, ...(opened.has(branch.theme.id) ? branch.children : [])]),
    [tree, opened],
  );
  const scale = useMemo<Scale>(() => {
    const most = gapReach(rows);
    return { from: -most, to: most, neutral: 0 };
  }, [rows]);
  const params = useRoute().params;
  const [at, setAt] = useState<string | null>(null);
  const stop = rows.find((row) => keyOf(row) === at) ?? rows.find((row) => isChosen(row, params)) ?? rows[0];
  useEffect(() => {
    // A link's theme is brought into sight inside the list, without moving the page.
    const pressed = list.current?.querySelector<HTMLElement>("[aria-selected=true]");
    if (pressed && list.current) list.current.scrollTop = Math.max(0, pressed.offsetTop - 60);
  }, []);
  const onKey = (event: KeyboardEvent<HTMLUListElement>) => {
    const place = stop ? rows.indexOf(stop) : -1;
    const step = stepOf(event.key, rows, place, opened);
    if (step === null) return;
    event.preventDefault();
    if (step.toggle !== undefined) toggle(step.toggle);
    const next = rows[step.to];
    if (!next) return;
    setAt(keyOf(next));
    list.current?.querySelectorAll<HTMLElement>("[role=treeitem]")[step.to]?.focus();
  };
  const row = (branch: Branch, onToggle: (() => void) | null) => (
    <Row
      branch={branch}
      scale={scale}
      face={face}
      open={opened.has(branch.theme.id)}
      chosen={isChosen(branch, params)}
      stop={branch === stop}
      onToggle={onToggle}
      onFocus={() => setAt(keyOf(branch))}
    />
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a list is what a tree is made of.
    <ul className="theme-list" ref={list} role="tree" aria-label="Themes and subthemes" onKeyDown={onKey}>
      {face === "model" && <ScaleRow scale={scale} />}
      {tree.map((branch) => (
        <li key={branch.theme.id} role="none">
          {row(branch, () => toggle(branch.theme.id))}
          {opened.has(branch.theme.id) && branch.children.length > 0 && (
            <ul role="group">
              {branch.children.map((child) => (
                <li key={child.theme.id} role="none">
                  {row(child, null)}
                </li>
              ))}
            </ul>
          )}
        </li>
      ))}
    </ul>
  );
}

/** What the ends of all bars mean. The numbers stand beside the bars for those who cannot see them. */
function ScaleRow({ scale }: { scale: Scale }) {
  const digits = endDigits(scale.to);
  return (
    <li role="none" className="theme-row theme-scale" data-testid="theme-scale" aria-hidden="true">
      <span />
      <span />
      <span className="scale-ends">
        <span>{signed(scale.from, digits)}</span>
        <span>0</span>
        <span>{signed(scale.to, digits)}</span>
      </span>
      <span className="figure">gap</span>
      <span />
    </li>
  );
}

const keyOf = ({ theme }: Branch) => `${theme.level} ${theme.id}`;

function isChosen({ theme }: Branch, params: URLSearchParams): boolean {
  return params.get(theme.level) === String(theme.id) && (theme.level === "subtheme" || !params.has("subtheme"));
}

function sentence(tree: Branch[], face: Face): string {
  if (face === "benchmark") {
    const ranked = tree.filter((branch) => branch.counts.ranked > 0);
    const lacking = ranked.filter((branch) => branch.counts.missing > 0).length;
    return `${ofAll(lacking, ranked.length)} with ranked concepts have missing ones`;
  }
  const of = (status: string) => tree.filter((branch) => branch.status === status).length;
  const tested = tree.filter((branch) => branch.tested).length;
  const untested = tree.length - tested;
  const rest = untested ? `; ${integer(untested)} could not be tested` : "";
  return `${integer(of("weak"))} weak and ${integer(of("strong"))} strong of ${integer(tested)} tested${rest}`;
}

interface RowOf {
  branch: Branch;
  scale: Scale;
  face: Face;
  open: boolean;
  chosen: boolean;
  /** Where the Tab key stops in the tree. */
  stop: boolean;
  /** Null: nothing to open. */
  onToggle: (() => void) | null;
  onFocus: () => void;
}

function Row({ branch, scale, face, open, chosen, stop, onToggle, onFocus }: RowOf) {
  const { theme } = branch;
  // Pressed once more, a subtheme gives way to its theme, and a theme to all.
  const next =
    theme.level === "theme"
      ? { theme: chosen ? null : theme.id, subtheme: null }
      : { theme: theme.parent, subtheme: chosen ? null : theme.id };
  const name = visible(themeName(theme));
  const opens = onToggle !== null && branch.children.length > 0;
  return (
    <div className={`theme-row ${theme.level}${chosen ? " pressed" : ""}`}>
      {opens ? (
        // The arrow keys do the same.
        <span className="caret-button" data-open={open} aria-hidden="true" onClick={onToggle}>
          <IconChevronRight size={14} />
        </span>
      ) : (
        <span />
      )}
      <button
        type="button"
        role="treeitem"
        className="theme-name"
        tabIndex={stop ? 0 : -1}
        aria-selected={chosen}
        aria-level={theme.level === "theme" ? 1 : 2}
        aria-expanded={opens ? open : undefined}
        aria-label={`${name}: ${spoken(branch, face)}`}
        title={name}
        onFocus={onFocus}
        onClick={() => go({ params: next })}
      >
        <bdi>{shorten(name, 90)}</bdi>
      </button>
      {face === "model" ? <Gap branch={branch} scale={scale} /> : <Coverage branch={branch} />}
    </div>
  );
}

/** What stands beside a theme's name, for those who hear it. */
function spoken({ counts, gap, status }: Branch, face: Face): string {
  if (face === "benchmark") return `${integer(counts.missing)} missing of ${plural(counts.ranked, "ranked concept")}`;
  return `gap ${signed(gap, 3)}, ${status}, ${integer(counts.weak)} weak of ${plural(counts.ranked, "ranked concept")}`;
}

function Gap({ branch, scale }: { branch: Branch; scale: Scale }) {
  const { counts, gap, status } = branch;
  return (
    <>
      <IntervalBar scale={scale} at={gap} low={branch.low} high={branch.high} status={status} />
      <span className={`figure ${status}`}>{signed(gap, 3)}</span>
      <span className="counts">
        {counts.ranked === 0 ? (
          "no ranked concept"
        ) : (
          <>
            <span className={counts.weak ? "weak" : ""}>{integer(counts.weak)} weak</span>
            {`, ${integer(counts.strong)} strong of ${integer(counts.ranked)} ranked`}
          </>
        )}
      </span>
    </>
  );
}

function Coverage({ branch }: { branch: Branch }) {
  const { counts } = branch;
  const share = counts.ranked ? counts.missing / counts.ranked : null;
  return (
    <>
      <span className="share-bar" aria-hidden="true">
        <span style={{ width: `${100 * (share ?? 0)}%` }} />
      </span>
      <span className={`figure ${counts.missing ? "weak" : ""}`}>{percent(share)}</span>
      <span className="counts">
        {counts.ranked === 0 ? (
          "no ranked concept"
        ) : (
          <>
            {integer(counts.missing)} missing of {integer(counts.ranked)} ranked, coverage {magnitude(branch.coverage)}
          </>
        )}
      </span>
    </>
  );
}
