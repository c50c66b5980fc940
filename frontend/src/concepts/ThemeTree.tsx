import { IconChevronRight } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { go, useRoute } from "../app/route";
import { type Face, useFace, useNumberParam } from "../app/state";
import type { ThemeFile } from "../data/types";
import { integer, magnitude, percent, signed } from "../format";
import { shorten, visible } from "../text";
import { ofAll } from "./columns";
import { IntervalBar, type Scale } from "./IntervalBar";
import { type Branch, branches, themeName } from "./themes";
import type { ShownTable } from "./useConceptTable";

/** Themes with their figures; one that is pressed chooses its concepts in the table. */
export function ThemeTree({ file, table, benchmark }: ShownTable & { file: ThemeFile }) {
  const face = useFace();
  // In a narrow window the table comes first.
  const [shown, setShown] = useState(() => innerWidth > 900);
  const tree = useMemo(() => branches(file, table, face, benchmark), [file, table, face, benchmark]);
  const scale = useMemo(() => gapScale(tree), [tree]);
  const chosen = useNumberParam("theme");
  const [opened, setOpened] = useState<ReadonlySet<number>>(() => new Set(chosen === null ? [] : [chosen]));
  const toggle = (id: number) => setOpened((before) => {
    const after = new Set(before);
    if (!after.delete(id)) after.add(id);
    return after;
  });
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    // A link's theme is brought into sight inside the list, without moving the page.
    const pressed = list.current?.querySelector<HTMLElement>("[aria-pressed=true]");
    if (pressed && list.current) list.current.scrollTop = Math.max(0, pressed.offsetTop - 60);
  }, []);
  return (
    <section className="themes" aria-label="Themes" data-testid="theme-tree">
      <h2>
        <button type="button" className="caret-button" aria-expanded={shown} onClick={() => setShown(!shown)}>
          <IconChevronRight size={16} aria-hidden="true" /> Themes
        </button>
        <span className="soft">{sentence(tree, face)}</span>
      </h2>
      {shown && (
        <ul className="theme-list" ref={list}>
          {tree.map((one) => (
            <li key={one.theme.id}>
              <Row branch={one} scale={scale} face={face} open={opened.has(one.theme.id)} onToggle={() => toggle(one.theme.id)} />
              {opened.has(one.theme.id) && one.children.length > 0 && (
                <ul>
                  {one.children.map((child) => (
                    <li key={child.theme.id}><Row branch={child} scale={scale} face={face} open={false} onToggle={null} /></li>
                  ))}
                </ul>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function sentence(tree: Branch[], face: Face): string {
  if (face === "benchmark") return `${ofAll(tree.filter((one) => one.counts.missing > 0).length, tree.length)} have missing concepts`;
  const of = (status: string) => tree.filter((one) => one.status === status).length;
  return `${ofAll(of("weak"), tree.length)} weak, ${integer(of("strong"))} strong`;
}

/** As far as all gaps of themes go, and nearly all of their intervals. */
function gapScale(tree: Branch[]): Scale {
  const ends = tree.flatMap(({ low, high }) => (low === null || high === null ? [] : [Math.max(-low, high)])).sort((a, b) => a - b);
  const gaps = tree.map(({ gap }) => 1.1 * Math.abs(gap ?? 0));
  const most = Math.max(0.01, ends[Math.floor(0.9 * (ends.length - 1))] ?? 0, ...gaps);
  return { from: -most, to: most, neutral: 0 };
}

interface RowOf {
  branch: Branch;
  scale: Scale;
  face: Face;
  open: boolean;
  /** Null: nothing to open. */
  onToggle: (() => void) | null;
}

function Row({ branch, scale, face, open, onToggle }: RowOf) {
  const { theme } = branch;
  const params = useRoute().params;
  const pressed = params.get(theme.level) === String(theme.id) && (theme.level === "subtheme" || !params.has("subtheme"));
  // Pressed once more, a subtheme gives way to its theme, and a theme to all.
  const chosen = theme.level === "theme"
    ? { theme: pressed ? null : theme.id, subtheme: null }
    : { theme: theme.parent, subtheme: pressed ? null : theme.id };
  const name = visible(themeName(theme));
  return (
    <div className={`theme-row ${theme.level}${pressed ? " pressed" : ""}`}>
      {onToggle && branch.children.length > 0
        ? <button type="button" className="caret-button" aria-expanded={open} aria-label={`Subthemes of ${name}`} onClick={onToggle}><IconChevronRight size={14} aria-hidden="true" /></button>
        : <span />}
      <button type="button" className="theme-name" aria-pressed={pressed} title={name} onClick={() => go({ params: chosen })}>
        <bdi>{shorten(name, 90)}</bdi>
      </button>
      {face === "model" ? <Gap branch={branch} scale={scale} /> : <Coverage branch={branch} />}
    </div>
  );
}

function Gap({ branch, scale }: { branch: Branch; scale: Scale }) {
  const { counts, gap, status } = branch;
  return (
    <>
      <IntervalBar scale={scale} at={gap} low={branch.low} high={branch.high} status={status} />
      <span className={`figure ${status}`}>{signed(gap, 3)}</span>
      <span className="counts">
        {counts.ranked === 0 ? "no ranked concept" : <><span className={counts.weak ? "weak" : ""}>{integer(counts.weak)} weak</span>, {integer(counts.strong)} strong of {integer(counts.ranked)}</>}
      </span>
    </>
  );
}

function Coverage({ branch }: { branch: Branch }) {
  const { counts } = branch;
  const share = counts.ranked ? counts.missing / counts.ranked : null;
  return (
    <>
      <span className="share-bar" aria-hidden="true"><span style={{ width: `${100 * (share ?? 0)}%` }} /></span>
      <span className={`figure ${counts.missing ? "weak" : ""}`}>{percent(share)}</span>
      <span className="counts">
        {counts.ranked === 0 ? "no ranked concept" : <>{integer(counts.missing)} missing of {integer(counts.ranked)}, coverage {magnitude(branch.coverage)}</>}
      </span>
    </>
  );
}
