import { address, useRoute } from "../app/route";
import { useRun } from "../app/state";
import { useTable } from "../data/hooks";
import { number, text } from "../data/table";
import type { Finding } from "../data/types";
import { decimal, integer, percent, plural, probability, signed } from "../format";
import { capital, shorten, visible } from "../text";
import { Copied, CopyLink } from "../ui/Copied";
import { Facts } from "../ui/Facts";
import { Term } from "../ui/Hint";
import { ConceptLink, Status } from "../ui/Marks";
import { Failed } from "../ui/State";
import { Sides } from "./Sides";
import { interval, level, size, UNIT, unseen, unseenSentence } from "./words";
import "./findings.css";

/** One finding, told by its items; its concepts are the evidence. */
export function FindingView() {
  const run = useRun();
  const { rest } = useRoute();
  const finding = /^\d{1,6}$/.test(rest) ? run.findings[Number(rest)] : undefined;
  if (!finding) {
    const there = run.findings.length ? `they are numbered from 0 to ${run.findings.length - 1}` : "this run has none";
    return (
      <Failed
        error={new Error(`There is no finding ${rest ? `“${shorten(rest, 40)}”` : "without a number"}: ${there}.`)}
      />
    );
  }
  return <Shown key={finding.finding} finding={finding} />;
}

function Shown({ finding }: { finding: Finding }) {
  const run = useRun();
  const { tone } = unseen(finding);
  return (
    <article className="finding" data-testid="finding">
      <Turn finding={finding} />
      <h1 data-testid="finding-sentence">
        <bdi>{visible(finding.sentence)}</bdi>
      </h1>
      <p className="actions">
        <CopyLink />
      </p>
      <Figures finding={finding} />
      <section>
        <h2>
          Is it <Term term="unseen">found again in half-samples</Term>?
        </h2>
        <p data-testid="finding-unseen" className={tone}>
          <span className="said">{VERDICTS[tone]}</span> {unseenSentence(finding)}
        </p>
      </section>
      <section>
        <h2>Failing and passing items</h2>
        <Sides finding={finding} />
      </section>
      <section>
        <h2>Test it further</h2>
        <Copied text={finding.command} />
        <p className="soft">{visible(finding.command_note)}</p>
      </section>
      <div className="two">
        <Benchmarks finding={finding} />
        <Concepts finding={finding} />
      </div>
      {run.redacted && <p className="soft">Words of items are left out of this explorer.</p>}
    </article>
  );
}

const VERDICTS = { good: "Yes.", bad: "Uncertain.", open: "This cannot be tested." };

function Turn({ finding }: { finding: Finding }) {
  const run = useRun();
  const route = useRoute();
  const to = (place: number, name: string) =>
    run.findings[place] && <a href={address(route, { rest: place })}>{name}</a>;
  return (
    <p className="eyebrow finding-turn">
      <a href={address(route, { view: "findings" })}>Findings</a> › {integer(finding.finding + 1)} of{" "}
      {integer(run.findings.length)} <Status status={finding.verdict} />
      <span className="spring" />
      {to(finding.finding - 1, "← Previous")} {to(finding.finding + 1, "Next →")}
    </p>
  );
}

function Figures({ finding }: { finding: Finding }) {
  const run = useRun();
  const right = UNIT[finding.unit];
  const alike = run.evidence.alike || "within their benchmarks";
  const facts: [string, string, React.ReactNode, string | null][] = [
    ["items", "Items", size(finding), "cluster"],
    ["score", finding.feature ? `${right}, all its items` : right, level(finding.mean_score, finding.unit), "score"],
    [
      "gap",
      `Gap ${alike}`,
      <span key="g" className="measured">
        {signed(finding.gap)} <span className="soft">{interval(finding.gap_low, finding.gap_high)}</span>
      </span>,
      "gap",
    ],
    ["plain_gap", "Gap to all items", signed(finding.plain_gap), "plain_gap"],
    ["q", "False-discovery rate", probability(finding.q_value), "q_value"],
    [
      "detectable",
      "Could have shown",
      finding.detectable === null ? "N/A" : `a gap of ${decimal(finding.detectable)}`,
      "detectable",
    ],
  ];
  if (finding.feature_words) {
    facts.unshift(
      [
        "feature",
        visible(capital(finding.feature_words)),
        `${level(finding.feature_score, finding.unit)} of ${plural(finding.feature_items ?? 0, "item")}`,
        null,
      ],
      [
        "others",
        "Others of the same benchmark",
        `${level(finding.other_score, finding.unit)} of ${plural(finding.other_items ?? 0, "item")}`,
        null,
      ],
    );
  }
  const meaning = new Map(run.glossary.map((entry) => [entry.key, entry.meaning]));
  return (
    <Facts
      testId="finding-figures"
      facts={facts.map(([key, name, shown, term]) => ({
        key,
        name,
        shown,
        hint: term === null ? undefined : meaning.get(term),
      }))}
    />
  );
}

function Benchmarks({ finding }: { finding: Finding }) {
  const run = useRun();
  const route = useRoute();
  return (
    <section>
      <h2>Where its items are</h2>
      <ul className="mix" data-testid="finding-benchmarks">
        {finding.benchmarks.map(({ benchmark, items, share }) => (
          <li key={benchmark}>
            <a
              href={address(route, {
                view: "items",
                params: { finding: finding.finding, benchmark: run.benchmarks[benchmark]!.name },
              })}
            >
              <bdi>{visible(run.benchmarks[benchmark]!.name)}</bdi>
            </a>
            <span className="share-bar" aria-hidden="true">
              <span style={{ width: `${100 * share}%` }} />
            </span>
            <span>{percent(share)}</span>
            <span className="soft">{plural(items, "item")}</span>
          </li>
        ))}
      </ul>
      <p className="soft">Shares are of the finding’s weight: items in which its concepts are stronger count more.</p>
    </section>
  );
}

const LISTED = 12;

function Concepts({ finding: { finding, concepts } }: { finding: Finding }) {
  const run = useRun();
  const route = useRoute();
  const table = useTable(run.key, "concepts.parquet");
  return (
    <section>
      <h2>Concepts as evidence</h2>
      <p className="soft">
        {concepts.length === 1
          ? "The concept that led to it."
          : `The concept that led to it, and ${plural(concepts.length - 1, "other")} active in the same items.`}
      </p>
      <ul className="evidence" data-testid="finding-concepts">
        {concepts.slice(0, LISTED).map((concept) => (
          <li key={concept}>
            <ConceptLink concept={concept} label={table.data ? text(table.data, "label", concept) : null} limit={70} />
            {table.data && <span className="soft">{signed(number(table.data, "gap", concept))}</span>}
          </li>
        ))}
      </ul>
      <p>
        <a href={address(route, { view: "concepts", params: { finding, benchmark: null } })}>
          {concepts.length > LISTED ? `All ${integer(concepts.length)} in the table` : "In the table of concepts"}
        </a>
      </p>
    </section>
  );
}
