import { Button, CloseButton, Switch, TextInput, useComputedColorScheme } from "@mantine/core";
import { useDeferredValue, useMemo } from "react";
import { go, useRoute } from "../app/route";
import { readSort, writeSort } from "../app/sort";
import { useFace, useNumberParam } from "../app/state";
import { columnNamed, number, numbers, select, sorted, type Table, text, texts } from "../data/table";
import type { PairedScores } from "../data/types";
import { decimal, integer, magnitude, NOT_DEFINED, percent, plural, probability, signed } from "../format";
import { Against } from "../map/Against";
import { css } from "../map/colouring";
import { points } from "../models/paired";
import { capital, visible } from "../text";
import { Grid } from "../ui/Grid";
import type { GridColumn } from "../ui/gridColumn";
import { ConceptName, Measured, Status } from "../ui/Marks";
import { Empty } from "../ui/State";
import {
  type Changes,
  changedFirst,
  changesOf,
  joined,
  NO_VERDICT,
  QUESTIONS,
  type Question,
  type Reasons,
  rankedInEither,
  SORTS,
  transitions,
  withReasons,
} from "./joined";
import { kindsOf } from "./kinds";
import { Transitions } from "./Transitions";

interface ByConceptProps {
  first: Table;
  second: Table;
  /** Differences of scores, item by item; null: not known. */
  paired: PairedScores | null;
  /** The benchmark that both tables are about; null: the whole suites. */
  within: string | null;
  /** What else differs between the runs, in a sentence; null: nothing that is known. */
  caution: string | null;
}

/** Two runs of one SAE by concept: how many verdicts changed, one measure against the other, and a table. */
export function ByConcept({ first, second, paired, within, caution }: ByConceptProps) {
  const face = useFace();
  const question = QUESTIONS[face];
  const table = useMemo(
    () => withReasons(joined(first, second, question, paired?.concepts ?? null), first, second, question),
    [first, second, question, paired],
  );
  const ranked = useMemo(() => rankedInEither(first, second), [first, second]);
  const counts = useMemo(() => transitions(table, ranked), [table, ranked]);
  const changes = useMemo(() => changesOf(table, ranked, question), [table, ranked, question]);
  const others = total(changes.onlyA) + total(changes.onlyB) + changes.neither;
  return (
    <section aria-label="Concept by concept">
      <h2>Concept by concept</h2>
      <p data-testid="compare-sentence">
        {sentence(changes, question)} {within !== null && `Within ${visible(within)}.`}
      </p>
      {others > 0 && <p data-testid="compare-untested">{untested(changes, others, question)}</p>}
      <p className="soft">
        {paired !== null && face === "model"
          ? "Differences are of scores, item by item, weighted by the concept’s activation; q is over all concepts. "
          : "No difference is tested here. "}
        Verdicts near a threshold change by chance.
        {caution !== null && ` ${caution}`}
      </p>
      <div className="compare-parts">
        <Pairs table={table} rows={ranked} question={question} />
        <Transitions counts={counts} words={question.words} />
      </div>
      <Differences table={table} rows={ranked} question={question} />
    </section>
  );
}

const BAD = { performance_status: "weak", coverage_status: "missing or under-covered" };
const total = (reasons: Reasons) => reasons.reduce((sum, [, count]) => sum + count, 0);

/** Concepts that both runs tested come first: other verdicts differ because one run could not test the concept. */
function sentence({ both, changed, bad }: Changes, { verdict }: Question): string {
  const share = both ? ` (${percent(changed / both, 1)})` : "";
  const not = verdict === "performance_status" ? "tested" : "ranked";
  const besides = (count: number, side: string) => (count ? ` (${integer(count)} of them not ${not} in ${side})` : "");
  const only = [
    `${integer(bad.onlyA)} in A only${besides(bad.untestedInB, "B")}`,
    `${integer(bad.onlyB)} in B only${besides(bad.untestedInA, "A")}`,
  ];
  return (
    `${integer(changed)} of ${plural(both, "concept")} ${not} in both runs have different verdicts${share}. ` +
    `${capital(BAD[verdict])}: ${integer(bad.both)} in both, ${only.join(", ")}.`
  );
}

function untested({ onlyA, onlyB, neither }: Changes, others: number, { verdict }: Question): string {
  const done = verdict === "performance_status" ? "tested" : "ranked";
  const listed = (reasons: Reasons) => reasons.map(([reason, count]) => `${reason} ${integer(count)}`).join("; ");
  const parts = [
    onlyA.length > 0 && `${integer(total(onlyA))} ${done} in A only (in B: ${listed(onlyA)})`,
    onlyB.length > 0 && `${integer(total(onlyB))} ${done} in B only (in A: ${listed(onlyB)})`,
    neither > 0 && `${integer(neither)} ${done} in neither, for another reason`,
  ].filter(Boolean);
  return `${capital(plural(others, "more concept"))} cannot be compared: ${parts.join(", ")}.`;
}

/** The measure of one run against that of the other. */
function Pairs({ table, rows, question }: { table: Table; rows: Uint32Array; question: Question }) {
  const dark = useComputedColorScheme("light") === "dark";
  const log = question.measure === "chi_bench";
  const kinds = useMemo(() => kindsOf(BAD[question.verdict], dark), [question, dark]);
  const { sides, tally } = useMemo(() => {
    const [x, y] = [numbers(table, "a"), numbers(table, "b")];
    const [verdictA, verdictB] = [texts(table, "verdict_a"), texts(table, "verdict_b")];
    const kind = (row: number) =>
      (question.bad.includes(verdictA[row] ?? "") ? 1 : 0) + (question.bad.includes(verdictB[row] ?? "") ? 2 : 0);
    const drawn = rows.filter((row) =>
      log ? x[row]! > 0 && y[row]! > 0 : !Number.isNaN(x[row]!) && !Number.isNaN(y[row]!),
    );
    const tally = [0, 0, 0, 0];
    for (const row of drawn) tally[kind(row)]!++;
    const colour = (row: number) => kinds[kind(row)]!.colour;
    return { tally, sides: { rows: drawn, x, y, support: numbers(table, "support_a"), log, colour, layer: kind } };
  }, [table, rows, question, kinds, log]);
  const axes = useMemo(() => {
    const side = (name: string) =>
      log
        ? { title: `Coverage in ${name}`, log, text: (value: number) => magnitude(value) }
        : { title: `Gap in ${name}`, log, text: signed, neutral: 0 };
    return { x: side("A"), y: side("B") };
  }, [log]);
  if (sides.rows.length === 0) return <Empty>No concept has {log ? "coverage above 0" : "a gap"} in both runs.</Empty>;
  return (
    <div className="compare-chart">
      <Against
        sides={sides}
        axes={axes}
        testId="compare-scatter"
        label={`${log ? "Coverage" : "Gap"} of ${plural(sides.rows.length, "concept")} in run A and in run B.`}
        tip={(concept) => <Tip table={table} concept={concept} log={log} />}
      />
      <ul className="legend-entries compare-legend">
        {kinds.map(({ name, colour }, i) => (
          <li key={name}>
            <span className="legend-dot" style={{ background: css(colour) }} /> <span>{name}</span>{" "}
            <span className="soft">{integer(tally[i])}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Tip({ table, concept, log }: { table: Table; concept: number; log: boolean }) {
  const of = (key: string) => number(table, key, concept);
  return (
    <>
      <strong>
        <ConceptName concept={concept} label={text(table, "label", concept)} />
      </strong>
      <dl>
        {(["a", "b"] as const).map((side) => [
          <dt key={side}>{side.toUpperCase()}</dt>,
          <dd key={`${side} value`}>
            {log ? (
              magnitude(of(side))
            ) : (
              <Measured kind="signed" value={of(side)} low={of(`${side}_low`)} high={of(`${side}_high`)} />
            )}
          </dd>,
        ])}
        {of("difference") !== null && (
          <>
            <dt>{log ? "B to A (log2)" : "B minus A"}</dt>
            <dd>
              {log ? signed(of("difference")) : `${points(of("difference"))} points, q ${probability(of("q_value"))}`}
            </dd>
          </>
        )}
        <dt>Verdict</dt>
        <dd>
          <Status status={text(table, "verdict_a", concept)} />
          {because(table, "a", concept)} → <Status status={text(table, "verdict_b", concept)} />
          {because(table, "b", concept)}
        </dd>
      </dl>
    </>
  );
}

/** Every concept with both values and their difference. */
function Differences({ table, rows, question }: { table: Table; rows: Uint32Array; question: Question }) {
  const { params } = useRoute();
  const opened = useNumberParam("concept");
  const query = useDeferredValue(params.get("q") ?? "");
  const changedOnly = params.get("changed") === "1";
  const [from, to, sortParam] = [params.get("from"), params.get("to"), params.get("sort")];
  const order = useMemo(() => {
    const chosen = select(table.rows, tests(table, rows, { query, changedOnly, from, to }));
    const sort = readSort(sortParam, SORTS);
    return sort ? sorted(table, chosen, sort) : changedFirst(table, chosen);
  }, [table, rows, query, changedOnly, from, to, sortParam]);
  const columns = useMemo(() => differenceColumns(table, question), [table, question]);
  const sort = readSort(sortParam, SORTS);
  const title = sort && columns.find((column) => column.key === sort.key)?.title;
  const sentence =
    sort && title
      ? `by ${title}, ${sort.descending ? "descending" : "ascending"}`
      : "changed verdicts first, then the largest differences";
  const set = query || changedOnly || from || to;
  const clear = () => go({ params: { q: null, changed: null, from: null, to: null } });
  return (
    <>
      <div className="compare-controls">
        <TextInput
          size="xs"
          w={200}
          aria-label="Search by label or number"
          placeholder="Label or number"
          data-testid="compare-search"
          value={params.get("q") ?? ""}
          onChange={(event) => go({ params: { q: event.currentTarget.value } }, true)}
          rightSection={
            query ? (
              <CloseButton size="xs" aria-label="Clear the search" onClick={() => go({ params: { q: null } }, true)} />
            ) : undefined
          }
        />
        <Switch
          size="xs"
          label="Changed verdicts only"
          data-testid="compare-changed"
          checked={changedOnly}
          onChange={(event) => go({ params: { changed: event.currentTarget.checked ? 1 : null } })}
        />
        {from && to && (
          <span className="badge">
            {visible(from)} in A, {visible(to)} in B
          </span>
        )}
        <span className="soft">
          {integer(order.length)} of {plural(rows.length, "concept")}, {sentence}
        </span>
        {set && (
          <Button size="xs" variant="subtle" onClick={clear}>
            Clear filters
          </Button>
        )}
      </div>
      <div className="compare-grid">
        <Grid
          columns={columns}
          order={order}
          sort={sort}
          onSort={(sort) => go({ params: { sort: writeSort(sort) } })}
          onOpen={(concept) => go({ params: { concept, item: null } })}
          opened={opened}
          label="Concepts of both runs"
          testId="compare-table"
          empty={<Empty>No concept passes these filters. Clear them to see all concepts.</Empty>}
        />
      </div>
    </>
  );
}

interface Filters {
  query: string;
  changedOnly: boolean;
  from: string | null;
  to: string | null;
}

function tests(
  table: Table,
  rows: Uint32Array,
  { query, changedOnly, from, to }: Filters,
): ((row: number) => boolean)[] {
  const inRows = new Uint8Array(table.rows);
  for (const row of rows) inRows[row] = 1;
  const conditions = [(row: number) => inRows[row] === 1];
  const changed = numbers(table, "changed");
  if (changedOnly) conditions.push((row) => changed[row] === 1);
  const [a, b, labels] = [texts(table, "verdict_a"), texts(table, "verdict_b"), texts(table, "label")];
  if (from) conditions.push((row) => (a[row] ?? NO_VERDICT) === from);
  if (to) conditions.push((row) => (b[row] ?? NO_VERDICT) === to);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length) {
    conditions.push((row) => {
      const label = labels[row]?.toLowerCase() ?? "";
      return String(row) === query.trim() || words.every((word) => label.includes(word));
    });
  }
  return conditions;
}

/** `: template` behind a verdict that follows from no test. “Insufficient” says itself that its items are too few. */
function because(table: Table, side: "a" | "b", row: number): string {
  const reason = text(table, `reason_${side}`, row);
  return reason === null || text(table, `verdict_${side}`, row) === "insufficient" ? "" : `: ${reason}`;
}

function differenceColumns(table: Table, question: Question): GridColumn[] {
  const log = question.measure === "chi_bench";
  const name = log ? "coverage" : "gap";
  const of = (key: string) => (row: number) => number(table, key, row);
  const value = (key: string) => (row: number) => (log ? magnitude(of(key)(row)) : signed(of(key)(row)));
  const verdict = (side: "a" | "b"): GridColumn => ({
    key: `verdict_${side}`,
    title: `verdict ${side.toUpperCase()}`,
    hint: `Verdict in run ${side.toUpperCase()}`,
    width: 150,
    text: (row) => `${text(table, `verdict_${side}`, row) ?? NO_VERDICT}${because(table, side, row)}`,
    show: (row) => (
      <>
        <Status status={text(table, `verdict_${side}`, row)} />
        <span className="soft">{because(table, side, row)}</span>
      </>
    ),
  });
  const measure = (side: "a" | "b"): GridColumn => ({
    key: side,
    title: `${name} ${side.toUpperCase()}`,
    hint: `${log ? "Coverage (χ bench)" : "Gap, with its interval,"} in run ${side.toUpperCase()}`,
    align: "end",
    width: log ? 116 : 168,
    text: value(side),
    show: log
      ? undefined
      : (row) => (
          <Measured kind="signed" value={of(side)(row)} low={of(`${side}_low`)(row)} high={of(`${side}_high`)(row)} />
        ),
  });
  const support = (side: "a" | "b"): GridColumn => ({
    key: `support_${side}`,
    title: `items ${side.toUpperCase()}`,
    hint: `Items of run ${side.toUpperCase()} in which the concept is active`,
    align: "end",
    width: 80,
    largestFirst: true,
    text: (row) => integer(of(`support_${side}`)(row)),
  });
  return [
    {
      key: "label",
      title: "concept",
      flex: 1,
      width: 260,
      text: (row) => visible(text(table, "label", row) ?? ""),
      show: (row) => <ConceptName concept={row} label={text(table, "label", row)} limit={120} />,
    },
    ...(log || !columnNamed(table, "q_value") ? [] : pairedColumns(table)),
    measure("a"),
    measure("b"),
    ...(log
      ? [
          {
            key: "difference",
            title: "B to A (log2)",
            align: "end" as const,
            width: 128,
            text: (row: number) => signed(of("difference")(row)),
            hint: "Binary logarithm of coverage in B over coverage in A: +1 is twice as much",
          },
        ]
      : []),
    verdict("a"),
    verdict("b"),
    support("a"),
    support("b"),
  ];
}

/** Scores of B less those of A, item by item, on each concept's items. */
function pairedColumns(table: Table): GridColumn[] {
  const of = (key: string) => (row: number) => number(table, key, row);
  const measured = (key: string, low: string, high: string) => ({
    align: "end" as const,
    width: 176,
    text: (row: number) => points(of(key)(row)),
    show: (row: number) => (
      <span className="measured">
        {points(of(key)(row))}
        {of(key)(row) !== null && (
          <span className="soft">
            {" "}
            [{points(of(low)(row))}, {points(of(high)(row))}]
          </span>
        )}
      </span>
    ),
  });
  const q = (key: string, title: string, hint: string): GridColumn => ({
    key,
    title,
    hint,
    align: "end",
    width: 84,
    text: (row) => probability(of(key)(row)),
  });
  return [
    {
      key: "difference",
      title: "B minus A",
      hint: "Score in B less score in A, item by item, in points of 100, with its interval",
      ...measured("difference", "low", "high"),
    },
    q("q_value", "q", "Corrected p-value of that difference, over all concepts; signs of whole clusters are flipped"),
    {
      key: "better",
      title: "better : worse",
      hint: "Clusters of items on which B did better, and worse (McNemar’s counts)",
      align: "end",
      width: 132,
      sortable: false,
      text: (row) =>
        of("better")(row) === null ? NOT_DEFINED : `${integer(of("better")(row))} : ${integer(of("worse")(row))}`,
    },
    {
      key: "detectable",
      title: "visible",
      hint: "The smallest difference, in points of 100, that these items would most likely (8 times of 10) have shown",
      align: "end",
      width: 84,
      sortable: false,
      text: (row) => {
        const value = of("detectable")(row);
        return decimal(value === null ? null : 100 * value, 1);
      },
    },
    {
      key: "gap",
      title: "more than elsewhere",
      hint: "By how many points the difference is larger than on other items",
      ...measured("gap", "gap_low", "gap_high"),
    },
    q("gap_q", "its q", "Corrected p-value of that, over all concepts"),
  ];
}
