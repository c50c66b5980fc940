import { Switch, useComputedColorScheme } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { go, useRoute } from "../app/route";
import { readSort, writeSort } from "../app/sort";
import { useFace, useNumberParam } from "../app/state";
import { number, numbers, select, sorted, type Table, text, texts } from "../data/table";
import { integer, magnitude, percent, plural, signed } from "../format";
import { radii, verdictColours } from "../map/colouring";
import type { Axes } from "../map/draw";
import { Scatter } from "../map/Scatter";
import { capital, visible } from "../text";
import { Grid } from "../ui/Grid";
import type { GridColumn } from "../ui/gridColumn";
import { ConceptName, Measured, Status } from "../ui/Marks";
import { SearchField } from "../ui/SearchField";
import { Empty } from "../ui/State";
import { changedFirst, changesOf, joined, QUESTIONS, type Question, rankedInEither, SORTS } from "./joined";

interface ByConceptProps {
  first: Table;
  second: Table;
  /** The benchmark that both tables are about; null: the whole suites. */
  within: string | null;
}

/** Two runs of one SAE by concept: how many verdicts changed, one measure against the other, and a table. */
export function ByConcept({ first, second, within }: ByConceptProps) {
  const question = QUESTIONS[useFace()];
  const table = useMemo(() => joined(first, second, question), [first, second, question]);
  const ranked = useMemo(() => rankedInEither(first, second), [first, second]);
  return (
    <section aria-label="Concept by concept">
      <h2>Concept by concept</h2>
      <p data-testid="compare-sentence">
        {useMemo(() => sentence(table, ranked, question), [table, ranked, question])}{" "}
        {within !== null && `Within ${visible(within)}.`}
      </p>
      <p className="soft">No difference is tested here. Verdicts near a threshold change by chance.</p>
      <Pairs table={table} rows={ranked} question={question} />
      <Differences table={table} rows={ranked} question={question} />
    </section>
  );
}

const badWord = ({ measure }: Question) => (measure === "gap" ? "weak" : "missing or under-covered");

function sentence(table: Table, rows: Uint32Array, question: Question): string {
  const { both, changed, onlyA, onlyB, bad } = changesOf(table, rows, question);
  const tested = question.measure === "gap" ? "tested" : "ranked";
  const share = both ? ` (${percent(changed / both, 1)})` : "";
  return (
    `${integer(changed)} of ${plural(both, "concept")} ${tested} in both runs have different verdicts${share}; ` +
    `${integer(onlyA)} were ${tested} in A only, ${integer(onlyB)} in B only. ` +
    `${capital(badWord(question))}: ${integer(bad.both)} in both, ${integer(bad.onlyA)} in A only, ` +
    `${integer(bad.onlyB)} in B only.`
  );
}

interface Shown {
  table: Table;
  rows: Uint32Array;
  question: Question;
}

/** The measure of one run against that of the other. */
function Pairs({ table, rows, question }: Shown) {
  const dark = useComputedColorScheme("light") === "dark";
  const log = question.measure === "chi_bench";
  const word = badWord(question);
  const { weak, typical } = verdictColours(dark);
  // Yellow and plum besides the orange. All differ in lightness too, for colour-blind readers.
  const [onlyA, onlyB] = dark ? ["#fff04d", "#b833e6"] : ["#d9b600", "#54164f"];
  const kinds = [
    { name: `${word} in neither`, colour: typical },
    { name: `${word} in A only`, colour: onlyA! },
    { name: `${word} in B only`, colour: onlyB! },
    { name: `${word} in both`, colour: weak },
  ];
  const colours = kinds.map(({ colour }) => colour).join();
  const drawn = useMemo(() => {
    const [x, y] = [numbers(table, "a"), numbers(table, "b")];
    const [verdictA, verdictB] = [texts(table, "verdict_a"), texts(table, "verdict_b")];
    const bad = (verdict: string | null | undefined) => question.bad.includes(verdict ?? "");
    const kind = (row: number) => Number(bad(verdictA[row])) + 2 * Number(bad(verdictB[row]));
    const radius = radii(numbers(table, "support_a"), rows.length);
    return [...rows]
      .filter((row) => (log ? x[row]! > 0 && y[row]! > 0 : !Number.isNaN(x[row]!) && !Number.isNaN(y[row]!)))
      .sort((a, b) => kind(a) - kind(b))
      .map((id) => ({
        id,
        x: x[id]!,
        y: y[id]!,
        radius: radius(id),
        colour: colours.split(",")[kind(id)]!,
        opacity: kind(id) ? 0.9 : 0.5,
      }));
  }, [table, rows, question, log, colours]);
  const axes = useMemo<Axes>(() => {
    const side = (name: string) =>
      log
        ? { title: `Coverage in ${name}`, log, text: (value: number) => magnitude(value) }
        : { title: `Gap in ${name}`, text: (value: number) => signed(value), neutral: 0 };
    return { x: side("A"), y: side("B") };
  }, [log]);
  if (drawn.length === 0) return <Empty>No concept has {log ? "coverage above 0" : "a gap"} in both runs.</Empty>;
  return (
    <div className="against">
      <Scatter
        points={drawn}
        axes={axes}
        diagonal
        testId="compare-scatter"
        label={`${log ? "Coverage" : "Gap"} of ${plural(drawn.length, "concept")} in run A and in run B.`}
        tip={(concept) => <Tip table={table} concept={concept} log={log} />}
      />
      <ul className="legend">
        {kinds.map(({ name, colour }) => (
          <li key={name}>
            <span className="legend-dot" style={{ background: colour }} /> {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

function Value({ table, side, row, log }: { table: Table; side: "a" | "b"; row: number; log: boolean }) {
  const of = (key: string) => number(table, key, row);
  if (log) return magnitude(of(side));
  return <Measured kind="signed" value={of(side)} low={of(`${side}_low`)} high={of(`${side}_high`)} />;
}

function Tip({ table, concept, log }: { table: Table; concept: number; log: boolean }) {
  return (
    <>
      <strong>
        <ConceptName concept={concept} label={text(table, "label", concept)} />
      </strong>
      <dl>
        {(["a", "b"] as const).map((side) => [
          <dt key={side}>{side.toUpperCase()}</dt>,
          <dd key={`${side} value`}>
            <Value table={table} side={side} row={concept} log={log} />{" "}
            <Status status={text(table, `verdict_${side}`, concept)} />
          </dd>,
        ])}
      </dl>
    </>
  );
}

/** Every concept with both values and their difference. */
function Differences({ table, rows, question }: Shown) {
  const { params } = useRoute();
  const query = useDeferredValue(params.get("q") ?? "");
  const changedOnly = params.get("changed") === "1";
  const sortParam = params.get("sort");
  const sort = readSort(sortParam, SORTS);
  const order = useMemo(() => {
    const chosen = select(table.rows, tests(table, rows, query, changedOnly));
    const sort = readSort(sortParam, SORTS);
    return sort ? sorted(table, chosen, sort) : changedFirst(table, chosen);
  }, [table, rows, query, changedOnly, sortParam]);
  const columns = useMemo(() => differenceColumns(table, question), [table, question]);
  return (
    <>
      <div className="tools">
        <SearchField label="Label or number" testId="compare-search" />
        <Switch
          size="xs"
          label="Changed verdicts only"
          data-testid="compare-changed"
          checked={changedOnly}
          onChange={(event) => go({ params: { changed: event.currentTarget.checked ? 1 : null } })}
        />
        <span className="soft">
          {integer(order.length)} of {plural(rows.length, "concept")}
          {!sort && ", changed verdicts first, then the largest differences"}
        </span>
      </div>
      <div className="compare-grid">
        <Grid
          columns={columns}
          order={order}
          sort={sort}
          onSort={(sort) => go({ params: { sort: writeSort(sort) } })}
          onOpen={(concept) => go({ params: { concept, item: null } })}
          opened={useNumberParam("concept")}
          label="Concepts of both runs"
          testId="compare-table"
          empty={<Empty>No concept passes these filters.</Empty>}
        />
      </div>
    </>
  );
}

function tests(table: Table, rows: Uint32Array, query: string, changedOnly: boolean): ((row: number) => boolean)[] {
  const inRows = new Set(rows);
  const changed = numbers(table, "changed");
  const labels = texts(table, "label");
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return [
    (row) => inRows.has(row),
    (row) => !changedOnly || changed[row] === 1,
    (row) => String(row) === query.trim() || words.every((word) => labels[row]?.toLowerCase().includes(word) === true),
  ];
}

function differenceColumns(table: Table, question: Question): GridColumn[] {
  const log = question.measure === "chi_bench";
  const of = (key: string) => (row: number) => number(table, key, row);
  const name = log ? "coverage" : "gap";
  const side = (side: "a" | "b", title: string): GridColumn[] => [
    {
      key: side,
      title: `${name} ${title}`,
      align: "end",
      width: log ? 116 : 168,
      text: (row) => (log ? magnitude(of(side)(row)) : signed(of(side)(row))),
      show: (row) => <Value table={table} side={side} row={row} log={log} />,
    },
    {
      key: `verdict_${side}`,
      title: `verdict ${title}`,
      width: 120,
      text: (row) => text(table, `verdict_${side}`, row) ?? "N/A",
      show: (row) => <Status status={text(table, `verdict_${side}`, row)} />,
    },
    {
      key: `support_${side}`,
      title: `items ${title}`,
      hint: `Items of run ${title} in which the concept is active`,
      align: "end",
      width: 80,
      largestFirst: true,
      text: (row) => integer(of(`support_${side}`)(row)),
    },
  ];
  return [
    {
      key: "label",
      title: "concept",
      flex: 1,
      width: 260,
      text: (row) => `${row} ${visible(text(table, "label", row) ?? "no label")}`,
      show: (row) => <ConceptName concept={row} label={text(table, "label", row)} limit={120} />,
    },
    {
      key: "difference",
      title: log ? "B to A (log2)" : "B minus A",
      align: "end",
      width: 128,
      text: (row) => signed(of("difference")(row)),
      hint: log
        ? "Binary logarithm of coverage in B over coverage in A: +1 is twice as much"
        : "Gap in B less gap in A",
    },
    ...side("a", "A"),
    ...side("b", "B"),
  ];
}
